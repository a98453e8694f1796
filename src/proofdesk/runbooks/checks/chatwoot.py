"""Chatwoot sync fails: checks the settings, the connection, the token, its role, and the sources."""

from urllib.parse import urlsplit

from proofdesk.core import urls
from proofdesk.jobs import catalog
from proofdesk.runbooks import bundle_sources, facts, fixes, probes
from proofdesk.runbooks.checks import chatwoot_account, database, freshness, workers
from proofdesk.runbooks.checks.chatwoot_failures import NOT_REACHED, describe_failure
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip

_JOBS = (catalog.SYNC.name, catalog.RECONCILE.name)


async def check_base_url(context: RunbookContext) -> Observation:
    """Check that CHATWOOT_BASE_URL is set."""
    url = urls.masked(context.settings.chatwoot_base_url or "")
    if not url:
        return fail("CHATWOOT_BASE_URL is not set.")
    if "://" not in url:
        return fail(f"CHATWOOT_BASE_URL is {url}, without https://.")
    if (path := urlsplit(url).path.rstrip("/")).endswith(_PATHS):
        cause = f"CHATWOOT_BASE_URL contains the path {path}."
        fix = fixes.set_variable(f"CHATWOOT_BASE_URL={url.removesuffix(path)}", f"(without {path})")
        return fail(f"CHATWOOT_BASE_URL is {url}.", cause, fix)
    return ok(f"CHATWOOT_BASE_URL is {url}.")


async def check_token_setting(context: RunbookContext) -> Observation:
    """Check that CHATWOOT_API_TOKEN is set."""
    is_set = context.settings.chatwoot_api_token is not None
    return ok("CHATWOOT_API_TOKEN is set.") if is_set else fail("CHATWOOT_API_TOKEN is not set.")


async def check_account_setting(context: RunbookContext) -> Observation:
    """Check that there is an account to read."""
    default = context.settings.chatwoot_account_id
    if default is not None:
        return ok(f"CHATWOOT_ACCOUNT_ID is {default}.")
    if bound := await context.load_once(facts.load_sources):
        return ok(f"Not needed: the project reads {', '.join(s.external_id for s in bound)}.")
    return fail("CHATWOOT_ACCOUNT_ID is not set, and the project has no source.")


async def check_reachable(context: RunbookContext) -> Observation:
    """Check that Chatwoot responds at the address."""
    probe = await context.load_once(probes.probe_chatwoot)
    return describe_failure(probe.unreachable) if probe.unreachable else ok(f"Chatwoot {probe.version} responds.")


async def check_token_header(context: RunbookContext) -> Observation:
    """Check that proxies pass the header with the token."""
    probe = await context.load_once(probes.probe_chatwoot)
    if probe.unreachable:
        return skip(NOT_REACHED)
    if probe.rejected is None or (probe.rejected.status == 401 and not probe.rejected.from_proxy):
        missing = probe.rejected is not None and probe.rejected.token_missing
        return fail(_NO_TOKEN) if missing else ok("The header with the token reaches Chatwoot.")
    return skip("Chatwoot did not judge the token.")


async def check_token(context: RunbookContext) -> Observation:
    """Check that Chatwoot accepts the token."""
    probe = await context.load_once(probes.probe_chatwoot)
    if probe.unreachable or (probe.rejected and probe.rejected.token_missing):
        return skip(NOT_REACHED)
    if probe.rejected is None:
        return ok("Chatwoot accepts the token.")
    if probe.rejected.status == 401 and not probe.rejected.from_proxy:
        bot = "The token belongs to a bot or a platform app, which cannot read conversations."
        return fail(probe.rejected.message, bot if probe.rejected.forbidden else None)
    return describe_failure(probe.rejected)


async def check_last_run(context: RunbookContext) -> Observation:
    """Check whether the last run failed, and which request failed."""
    return await facts.check_last_run(context, *_JOBS)


_NO_TOKEN = "Chatwoot reports a missing token, but Proofdesk sent one."  # noqa: S105, no secret
_PATHS = ("/app", "/api", "/api/v1", "/app/login", "/auth/sign_in")
_TOKEN = fixes.set_variable("CHATWOOT_API_TOKEN", "to the access token in an administrator's profile")

RUNBOOK = Runbook(
    slug="chatwoot-sync-fails",
    title="Chatwoot sync job fails",
    symptom="The Sync job fails.",
    impact="Messages since the last successful sync are missing.",
    checks=(
        database.USABLE,
        Check(
            "base-url",
            "CHATWOOT_BASE_URL",
            "CHATWOOT_BASE_URL is the address of Chatwoot, with https:// and without a path.",
            "CHATWOOT_BASE_URL is missing or not an address.",
            check_base_url,
            fixes.set_variable("CHATWOOT_BASE_URL", "to the address of Chatwoot"),
            shared=True,
        ),
        Check(
            "api-token",
            "CHATWOOT_API_TOKEN",
            "CHATWOOT_API_TOKEN is set.",
            "CHATWOOT_API_TOKEN is not set.",
            check_token_setting,
            _TOKEN,
            shared=True,
        ),
        Check(
            "account-id",
            "CHATWOOT_ACCOUNT_ID",
            "CHATWOOT_ACCOUNT_ID is set, or the project has a source.",
            "No account is configured.",
            check_account_setting,
            fixes.set_variable("CHATWOOT_ACCOUNT_ID", "to the number in Chatwoot's address"),
        ),
        Check(
            "reachable",
            "Connection",
            "Chatwoot responds at CHATWOOT_BASE_URL.",
            "Chatwoot cannot be reached at CHATWOOT_BASE_URL.",
            check_reachable,
            Fix("Start Chatwoot; check its address in CHATWOOT_BASE_URL, DNS and the firewall.",
                command='curl -sS "$CHATWOOT_BASE_URL/api"'),
            shared=True,
        ),
        Check(
            "header",
            "Token header",
            "The header `Api-Access-Token` reaches Chatwoot.",
            "A proxy in front of Chatwoot removes the header with the token.",
            check_token_header,
            Fix("Configure the proxy in front of Chatwoot to pass the header `Api-Access-Token`.",
                command='curl -sS -H "Api-Access-Token: $CHATWOOT_API_TOKEN" "$CHATWOOT_BASE_URL/api/v1/profile"'),
            shared=True,
        ),
        Check(
            "token",
            "Token",
            "Chatwoot accepts the token.",
            "Chatwoot rejects CHATWOOT_API_TOKEN: it is wrong or was replaced.",
            check_token,
            _TOKEN,
            shared=True,
        ),
        Check(
            "account",
            "Account",
            "The token's user belongs to the account.",
            "The account does not exist, or the token's user does not belong to it.",
            chatwoot_account.check_account,
            fixes.set_variable("CHATWOOT_API_TOKEN", "to the token of a user of the account, or bind another account"),
        ),
        Check(
            "access",
            "Conversations",
            "The token can list the conversations of the account.",
            "Chatwoot refuses the list of conversations.",
            chatwoot_account.check_access,
            _TOKEN,
        ),
        Check(
            "role",
            "Role",
            "The token's user is an administrator of the account.",
            "The token belongs to an agent. Chatwoot shows agents a part of the conversations and does not say so.",
            chatwoot_account.check_role,
            _TOKEN,
        ),
        Check(
            "visibility",
            "Visibility",
            "The token sees at least the conversations that are stored.",
            "The token sees fewer conversations than are stored.",
            chatwoot_account.check_visibility,
            fixes.RECONCILE,
        ),
        Check(
            "source",
            "Source",
            "The project has a source, or can get the default account.",
            "The source is bound to another project.",
            chatwoot_account.check_source,
            Fix("Unbind the source from the other project, or bind another inbox to this one.",
                "POST", "/projects/{id}/sources",
                {"source_kind": "chatwoot_inbox", "external_id": "…"}, "proofdesk source bind ACCOUNT:INBOX"),
        ),
        Check(
            "inboxes",
            "Inboxes",
            "Each bound inbox exists.",
            "A bound inbox no longer exists, or the token's user cannot see it.",
            chatwoot_account.check_inboxes,
            Fix("Unbind the inbox, then bind one that exists.", "DELETE", "/projects/{id}/sources/{source_id}", None,
                "proofdesk source unbind ACCOUNT:INBOX"),
        ),
        Check(
            "last-run",
            "Last run",
            "The last Sync and Reconcile jobs did not fail.",
            "The last run failed.",
            check_last_run,
            fixes.SYNC,
            alerts="symptom",
        ),
        workers.SETTINGS,
        freshness.SYNC,
    ),
    evidence=(
        EvidenceSection("Failing request", bundle_sources.collect_last_failures(*_JOBS)),
        EvidenceSection("Accounts and inboxes", bundle_sources.collect_sources),
    ),
    variables=("CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN", "CHATWOOT_ACCOUNT_ID", "CHATWOOT_CONCURRENCY",
               "CHATWOOT_TIMEOUT_SECONDS"),
)  # fmt: skip
