"""Chatwoot sync fails: checks the settings, the connection, the token, its role, and the sources."""

import asyncio

from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core import urls
from proofdesk.jobs import catalog
from proofdesk.projects import source_queries
from proofdesk.runbooks import bundle_sources, facts, fixes, probes
from proofdesk.runbooks.checks import database, freshness, workers
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip

_JOBS = (catalog.SYNC.name, catalog.RECONCILE.name)
_NOT_REACHED = "An earlier check failed."


async def check_base_url(context: RunbookContext) -> Observation:
    """Check that CHATWOOT_BASE_URL is set."""
    url = urls.masked(context.settings.chatwoot_base_url or "")
    if not url:
        return fail("CHATWOOT_BASE_URL is not set.")
    if "://" not in url:
        return fail(f"CHATWOOT_BASE_URL is {url}, without https://.")
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
    return fail(probe.unreachable.message) if probe.unreachable else ok(f"Chatwoot {probe.version} responds.")


async def check_token_header(context: RunbookContext) -> Observation:
    """Check that proxies pass the header with the token."""
    probe = await context.load_once(probes.probe_chatwoot)
    if probe.unreachable:
        return skip(_NOT_REACHED)
    if probe.rejected and probe.rejected.token_missing:
        return fail("Chatwoot reports a missing token, but Proofdesk sent one.")
    return ok("The header with the token reaches Chatwoot.")


async def check_token(context: RunbookContext) -> Observation:
    """Check that Chatwoot accepts the token."""
    probe = await context.load_once(probes.probe_chatwoot)
    if probe.unreachable or (probe.rejected and probe.rejected.token_missing):
        return skip(_NOT_REACHED)
    if probe.rejected is None:
        return ok("Chatwoot accepts the token.")
    if probe.rejected.from_proxy:
        return fail(probe.rejected.message, "Something else, such as a proxy, responds in place of Chatwoot.", _LATER)
    if probe.rejected.status == 401 and probe.rejected.forbidden:
        return fail(
            probe.rejected.message, "The token belongs to a bot or a platform app, which cannot read conversations."
        )
    if probe.rejected.status == 401:
        return fail(probe.rejected.message)
    return fail(probe.rejected.message, "Chatwoot responds with an error.", _LATER)


async def check_account(context: RunbookContext) -> Observation:
    """Check that the token's user belongs to each account that the project reads."""
    roles, required_accounts = await _roles(context), await _accounts(context)
    missing = [str(account) for account in required_accounts if account not in roles]
    if missing:
        own = ", ".join(map(str, roles)) or "none"
        return fail(f"The token's user does not belong to account {', '.join(missing)}. Their accounts: {own}.")
    if not required_accounts:
        return skip("No account is configured.")
    return ok(f"The token's user belongs to account {', '.join(map(str, required_accounts))}.")


async def check_role(context: RunbookContext) -> Observation:
    """Check that the token's user is an administrator."""
    roles = await _roles(context)
    accounts = [account for account in await _accounts(context) if account in roles]
    lower = [f"{roles[account]} in account {account}" for account in accounts if roles[account] != "administrator"]
    if lower:
        return fail(f"The role of the token's user is {', '.join(lower)}.")
    return (
        ok("The token's user is an administrator.") if accounts else skip("The project reads no account of the token.")
    )


async def check_source(context: RunbookContext) -> Observation:
    """Check that the project has a source, or can get the default account."""
    bound = await context.load_once(facts.load_sources)
    if bound:
        return ok(f"The project reads {', '.join(s.external_id for s in bound)}.")
    default = context.settings.chatwoot_account_id
    if default is None:
        return fail("The project has no source.", "The project has no source to read.", fixes.BIND)
    async with context.resources.db.scoped(context.required_scope) as conn:
        claimed_elsewhere = await source_queries.is_claimed_by_another(conn, context.required_scope, default, None)
        was_bound_before = await source_queries.was_ever_bound(conn, context.required_scope)
    if claimed_elsewhere:
        return fail(f"The project has no source, and another project reads account {default} or one of its inboxes.")
    if was_bound_before:
        return fail("All sources of the project were unbound.", "The project has no source to read.", fixes.BIND)
    return ok(f"The first sync will bind account {default} to the project.")


async def check_inboxes(context: RunbookContext) -> Observation:
    """Check that each bound inbox exists."""
    bound = [s for s in await context.load_once(facts.load_sources) if s.inbox_id is not None]
    if not bound:
        return ok("The project reads whole accounts.")
    roles = await _roles(context)
    accounts = sorted({s.account_id for s in bound if s.account_id in roles})
    try:
        inbox_ids = await asyncio.gather(*(probes.list_inbox_ids(context, account) for account in accounts))
    except ChatwootError as error:
        return fail(error.message, "Chatwoot does not list its inboxes.", _LATER)
    existing = {(account, inbox) for account, inboxes in zip(accounts, inbox_ids, strict=True) for inbox in inboxes}
    missing = [s.external_id for s in bound if s.account_id in accounts and (s.account_id, s.inbox_id) not in existing]
    if missing:
        return fail(f"Inbox {', '.join(missing)} does not exist, or the token cannot see it.")
    return ok(f"All {len(bound)} bound inboxes exist.")


async def check_last_run(context: RunbookContext) -> Observation:
    """Check whether the last run failed, and which request failed."""
    return await facts.check_last_run(context, *_JOBS)


async def _roles(context: RunbookContext) -> dict[int, str]:
    probe = await context.load_once(probes.probe_chatwoot)
    if probe.unreachable or probe.rejected:
        raise CheckSkippedError(_NOT_REACHED)
    return probe.roles


async def _accounts(context: RunbookContext) -> list[int]:
    bound = await context.load_once(facts.load_sources) if context.scope else []
    default = context.settings.chatwoot_account_id
    return sorted({s.account_id for s in bound} or ({default} if default is not None else set()))


_LATER = Fix("Look at Chatwoot's own log. Runs continue where they stopped once Chatwoot responds.")
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
        ),
        Check(
            "api-token",
            "CHATWOOT_API_TOKEN",
            "CHATWOOT_API_TOKEN is set.",
            "CHATWOOT_API_TOKEN is not set.",
            check_token_setting,
            _TOKEN,
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
        ),
        Check(
            "header",
            "Token header",
            "The header `Api-Access-Token` reaches Chatwoot.",
            "A proxy in front of Chatwoot removes the header with the token.",
            check_token_header,
            Fix("Configure the proxy in front of Chatwoot to pass the header `Api-Access-Token`.",
                command='curl -sS -H "Api-Access-Token: $CHATWOOT_API_TOKEN" "$CHATWOOT_BASE_URL/api/v1/profile"'),
        ),
        Check(
            "token",
            "Token",
            "Chatwoot accepts the token.",
            "Chatwoot rejects CHATWOOT_API_TOKEN: it is wrong or was replaced.",
            check_token,
            _TOKEN,
        ),
        Check(
            "account",
            "Account",
            "The token's user belongs to the account.",
            "The account does not exist, or the token's user does not belong to it.",
            check_account,
            fixes.set_variable("CHATWOOT_API_TOKEN", "to the token of a user of the account, or bind another account"),
        ),
        Check(
            "role",
            "Role",
            "The token's user is an administrator of the account.",
            "The token belongs to an agent. Chatwoot shows agents a part of the conversations and does not say so.",
            check_role,
            _TOKEN,
        ),
        Check(
            "source",
            "Source",
            "The project has a source, or can get the default account.",
            "The source is bound to another project.",
            check_source,
            Fix("Unbind the source from the other project, or bind another inbox to this one.",
                "POST", "/projects/{id}/sources",
                {"source_kind": "chatwoot_inbox", "external_id": "…"}, "proofdesk source bind ACCOUNT:INBOX"),
        ),
        Check(
            "inboxes",
            "Inboxes",
            "Each bound inbox exists.",
            "A bound inbox no longer exists, or the token's user cannot see it.",
            check_inboxes,
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
