"""Chatwoot sync fails: the variables, the way to Chatwoot, who we are there, and what is to be read."""

import asyncio

from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core import urls
from proofdesk.jobs import catalog
from proofdesk.projects import source_queries
from proofdesk.runbooks import bundle_sources, facts, fixes, probes
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip

_JOBS = (catalog.SYNC.name, catalog.RECONCILE.name)
_NOT_REACHED = "Chatwoot did not get as far as that."


async def check_base_url(context: RunbookContext) -> Observation:
    """Whether CHATWOOT_BASE_URL is set."""
    url = urls.masked(context.settings.chatwoot_base_url or "")
    if not url:
        return fail("CHATWOOT_BASE_URL is not set.")
    return (
        ok(f"CHATWOOT_BASE_URL is {url}.") if "://" in url else fail(f"CHATWOOT_BASE_URL is {url}, without https://.")
    )


async def check_token_setting(context: RunbookContext) -> Observation:
    """Whether CHATWOOT_API_TOKEN is set."""
    there = context.settings.chatwoot_api_token is not None
    return ok("CHATWOOT_API_TOKEN is set.") if there else fail("CHATWOOT_API_TOKEN is not set.")


async def check_account_setting(context: RunbookContext) -> Observation:
    """Whether it is known which account to read."""
    default = context.settings.chatwoot_account_id
    if default is not None:
        return ok(f"CHATWOOT_ACCOUNT_ID is {default}.")
    if bound := await context.load_once(facts.load_sources):
        return ok(f"Not needed: the project reads {', '.join(s.external_id for s in bound)}.")
    return fail("CHATWOOT_ACCOUNT_ID is not set, and the project has no source.")


async def check_reachable(context: RunbookContext) -> Observation:
    """Whether there is a Chatwoot at the address."""
    seen = await context.load_once(probes.probe_chatwoot)
    return fail(seen.unreachable.message) if seen.unreachable else ok(f"Chatwoot {seen.version} answers.")


async def check_token_header(context: RunbookContext) -> Observation:
    """Whether the token comes through the proxies in between."""
    seen = await context.load_once(probes.probe_chatwoot)
    if seen.unreachable:
        return skip(_NOT_REACHED)
    if seen.rejected and seen.rejected.token_missing:
        return fail("Chatwoot says that no token came along, although one was sent.")
    return ok("The header with the token arrives.")


async def check_token(context: RunbookContext) -> Observation:
    """Whether Chatwoot knows the token."""
    seen = await context.load_once(probes.probe_chatwoot)
    if seen.unreachable or (seen.rejected and seen.rejected.token_missing):
        return skip(_NOT_REACHED)
    if seen.rejected is None:
        return ok("Chatwoot knows the token.")
    if seen.rejected.from_proxy:
        return fail(seen.rejected.message, "Something else, such as a proxy, answers in Chatwoot's place.", _LATER)
    if seen.rejected.status == 401 and seen.rejected.forbidden:
        return fail(seen.rejected.message, "The token is a bot's or a platform's, which may not read conversations.")
    if seen.rejected.status == 401:
        return fail(seen.rejected.message)
    return fail(seen.rejected.message, "Chatwoot does not answer as it should.", _LATER)


async def check_account(context: RunbookContext) -> Observation:
    """Whether the token's user belongs to each account that is to be read."""
    roles, required_accounts = await _roles(context), await _accounts(context)
    missing = [str(account) for account in required_accounts if account not in roles]
    if missing:
        there = ", ".join(map(str, roles)) or "none"
        return fail(f"The token's user does not belong to account {', '.join(missing)}; he belongs to {there}.")
    return (
        ok(f"Account {', '.join(map(str, required_accounts))} is there.")
        if required_accounts
        else skip("No account is configured.")
    )


async def check_role(context: RunbookContext) -> Observation:
    """Whether the token is an administrator's."""
    roles = await _roles(context)
    accounts = [account for account in await _accounts(context) if account in roles]
    short = [f"{roles[account]} in account {account}" for account in accounts if roles[account] != "administrator"]
    if short:
        return fail(f"The token's user is {', '.join(short)}.")
    return ok("The token is an administrator's.") if accounts else skip("No account of the token is to be read.")


async def check_source(context: RunbookContext) -> Observation:
    """Whether the project has a source, or may have the default account."""
    bound = await context.load_once(facts.load_sources)
    if bound:
        return ok(f"The project reads {', '.join(s.external_id for s in bound)}.")
    default = context.settings.chatwoot_account_id
    if default is None:
        return fail("The project reads no Chatwoot source.", "The project has no source to read.", fixes.BIND)
    async with context.resources.db.scoped(context.required_scope) as conn:
        claimed_elsewhere = await source_queries.is_claimed_by_another(conn, context.required_scope, default, None)
        was_bound_before = await source_queries.was_ever_bound(conn, context.required_scope)
    if claimed_elsewhere:
        return fail(f"The project has no source, and another project reads account {default} or an inbox of it.")
    if was_bound_before:
        return fail("The project let go of its sources.", "The project has no source to read any more.", fixes.BIND)
    return ok(f"The project will be given account {default} by its first sync.")


async def check_inboxes(context: RunbookContext) -> Observation:
    """Whether each inbox that is bound is there."""
    bound = [s for s in await context.load_once(facts.load_sources) if s.inbox_id is not None]
    if not bound:
        return ok("No single inbox is bound.")
    roles = await _roles(context)
    accounts = sorted({s.account_id for s in bound if s.account_id in roles})
    try:
        inbox_ids = await asyncio.gather(*(probes.list_inbox_ids(context, account) for account in accounts))
    except ChatwootError as error:
        return fail(error.message, "Chatwoot does not list its inboxes.", _LATER)
    existing = {(account, inbox) for account, inboxes in zip(accounts, inbox_ids, strict=True) for inbox in inboxes}
    missing = [s.external_id for s in bound if s.account_id in accounts and (s.account_id, s.inbox_id) not in existing]
    if missing:
        return fail(f"Inbox {', '.join(missing)} is not there, or not for this token.")
    return ok(f"{len(bound)} bound inboxes are there.")


async def check_last_run(context: RunbookContext) -> Observation:
    """How the last run ended, and which request failed."""
    return await facts.check_last_run(context, *_JOBS)


async def _roles(context: RunbookContext) -> dict[int, str]:
    seen = await context.load_once(probes.probe_chatwoot)
    if seen.unreachable or seen.rejected:
        raise CheckSkippedError(_NOT_REACHED)
    return seen.roles


async def _accounts(context: RunbookContext) -> list[int]:
    bound = await context.load_once(facts.load_sources) if context.scope else []
    default = context.settings.chatwoot_account_id
    return sorted({s.account_id for s in bound} or ({default} if default is not None else set()))


_LATER = Fix("Look at Chatwoot's own log; runs go on where they stopped once it answers.")
_TOKEN = fixes.set_variable("CHATWOOT_API_TOKEN", "to the access token of an administrator (his profile shows it)")

RUNBOOK = Runbook(
    slug="chatwoot-sync-fails",
    title="Chatwoot sync job fails",
    symptom="The Sync job ends as `failed`.",
    impact="What customers wrote since the last good sync is missing here.",
    checks=(
        Check(
            "base-url",
            "CHATWOOT_BASE_URL",
            "CHATWOOT_BASE_URL is the address of Chatwoot, with https:// and without a path.",
            "CHATWOOT_BASE_URL is missing or not an address.",
            check_base_url,
            (fixes.set_variable("CHATWOOT_BASE_URL", "to the address of Chatwoot"),),
        ),
        Check(
            "api-token",
            "CHATWOOT_API_TOKEN",
            "CHATWOOT_API_TOKEN is set.",
            "CHATWOOT_API_TOKEN is not set.",
            check_token_setting,
            (_TOKEN,),
        ),
        Check(
            "account-id",
            "CHATWOOT_ACCOUNT_ID",
            "CHATWOOT_ACCOUNT_ID is set, or the project has a source of its own.",
            "It is not known which account to read.",
            check_account_setting,
            (fixes.set_variable("CHATWOOT_ACCOUNT_ID", "to the number in Chatwoot's address"), fixes.BIND),
        ),
        Check(
            "reachable",
            "Chatwoot answers",
            "Chatwoot answers at CHATWOOT_BASE_URL.",
            "Chatwoot cannot be reached at CHATWOOT_BASE_URL.",
            check_reachable,
            (Fix("Correct CHATWOOT_BASE_URL, or mend the way there: name, certificate, firewall, Chatwoot itself."),),
        ),
        Check(
            "header",
            "Token header",
            "The header `Api-Access-Token` reaches Chatwoot.",
            "A proxy in front of Chatwoot drops the header with the token.",
            check_token_header,
            (Fix("Let the proxy pass `Api-Access-Token` (and, for nginx, set `underscores_in_headers on`)."),),
        ),
        Check(
            "token",
            "Token",
            "Chatwoot knows the token.",
            "Chatwoot does not know CHATWOOT_API_TOKEN: it is wrong or was replaced.",
            check_token,
            (_TOKEN, fixes.SYNC),
        ),
        Check(
            "account",
            "Account",
            "The token's user belongs to the account.",
            "The account does not exist, or the token's user does not belong to it.",
            check_account,
            (Fix("Correct CHATWOOT_ACCOUNT_ID or the bound source, or add the user to the account."), fixes.SYNC),
        ),
        Check(
            "role",
            "Role",
            "The token's user is an administrator of the account.",
            "The token is an agent's: Chatwoot shows it a part of the conversations and does not say so.",
            check_role,
            (_TOKEN, fixes.SYNC),
        ),
        Check(
            "source",
            "Source",
            "The project has a source, or may have the default account.",
            "The source is bound to another project.",
            check_source,
            (Fix("Unbind the source there, or bind another inbox here.", "POST", "/projects/{id}/sources",
                 {"source_kind": "chatwoot_inbox", "external_id": "…"}, "proofdesk source bind ACCOUNT:INBOX"),),
        ),
        Check(
            "inboxes",
            "Inboxes",
            "Each bound inbox exists.",
            "A bound inbox does not exist any more, or the token's user may not see it.",
            check_inboxes,
            (Fix("Unbind the inbox, and bind one that exists.", "DELETE", "/projects/{id}/sources/{source_id}", None,
                 "proofdesk source unbind ACCOUNT:INBOX"),),
        ),
        Check(
            "last-run",
            "Last run",
            "The last Sync and Reconcile jobs did not fail.",
            "The last run failed.",
            check_last_run,
            (fixes.SYNC,),
        ),
    ),
    evidence=(
        EvidenceSection("Failing request", bundle_sources.collect_last_failures(*_JOBS)),
        EvidenceSection("Accounts and inboxes", bundle_sources.collect_sources),
    ),
    variables=("CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN", "CHATWOOT_ACCOUNT_ID", "CHATWOOT_CONCURRENCY",
               "CHATWOOT_TIMEOUT_SECONDS"),
)  # fmt: skip
