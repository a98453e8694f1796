"""Chatwoot sync fails: the variables, the way to Chatwoot, who we are there, and what is to be read."""

import asyncio

from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core import urls
from proofdesk.jobs import catalog
from proofdesk.projects import source_queries
from proofdesk.runbooks import bundle_sources, facts, fixes, probes
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Runbook, Observation, fail, ok, skip

_JOBS = (catalog.SYNC.name, catalog.RECONCILE.name)
_NOT_REACHED = "Chatwoot did not get as far as that."


async def has_base_url(case: RunbookContext) -> Observation:
    """Whether CHATWOOT_BASE_URL is set."""
    url = urls.masked(case.settings.chatwoot_base_url or "")
    if not url:
        return fail("CHATWOOT_BASE_URL is not set.")
    return (
        ok(f"CHATWOOT_BASE_URL is {url}.") if "://" in url else fail(f"CHATWOOT_BASE_URL is {url}, without https://.")
    )


async def has_token(case: RunbookContext) -> Observation:
    """Whether CHATWOOT_API_TOKEN is set."""
    there = case.settings.chatwoot_api_token is not None
    return ok("CHATWOOT_API_TOKEN is set.") if there else fail("CHATWOOT_API_TOKEN is not set.")


async def has_account(case: RunbookContext) -> Observation:
    """Whether it is known which account to read."""
    default = case.settings.chatwoot_account_id
    if default is not None:
        return ok(f"CHATWOOT_ACCOUNT_ID is {default}.")
    if bound := await case.load_once(facts.bound):
        return ok(f"Not needed: the project reads {', '.join(s.external_id for s in bound)}.")
    return fail("CHATWOOT_ACCOUNT_ID is not set, and the project has no source.")


async def is_reached(case: RunbookContext) -> Observation:
    """Whether there is a Chatwoot at the address."""
    seen = await case.load_once(probes.chatwoot)
    return fail(seen.unreachable.message) if seen.unreachable else ok(f"Chatwoot {seen.version} answers.")


async def header_arrives(case: RunbookContext) -> Observation:
    """Whether the token comes through the proxies in between."""
    seen = await case.load_once(probes.chatwoot)
    if seen.unreachable:
        return skip(_NOT_REACHED)
    if seen.refused and seen.refused.token_missing:
        return fail("Chatwoot says that no token came along, although one was sent.")
    return ok("The header with the token arrives.")


async def token_is_taken(case: RunbookContext) -> Observation:
    """Whether Chatwoot knows the token."""
    seen = await case.load_once(probes.chatwoot)
    if seen.unreachable or (seen.refused and seen.refused.token_missing):
        return skip(_NOT_REACHED)
    if seen.refused is None:
        return ok("Chatwoot knows the token.")
    if seen.refused.from_proxy:
        return fail(seen.refused.message, "Something else, such as a proxy, answers in Chatwoot's place.", _LATER)
    if seen.refused.status == 401 and seen.refused.forbidden:
        return fail(seen.refused.message, "The token is a bot's or a platform's, which may not read conversations.")
    if seen.refused.status == 401:
        return fail(seen.refused.message)
    return fail(seen.refused.message, "Chatwoot does not answer as it should.", _LATER)


async def account_exists(case: RunbookContext) -> Observation:
    """Whether the token's user belongs to each account that is to be read."""
    roles, wanted = await _roles(case), await _accounts(case)
    missing = [str(account) for account in wanted if account not in roles]
    if missing:
        there = ", ".join(map(str, roles)) or "none"
        return fail(f"The token's user does not belong to account {', '.join(missing)}; he belongs to {there}.")
    return ok(f"Account {', '.join(map(str, wanted))} is there.") if wanted else skip("No account is configured.")


async def role_is_right(case: RunbookContext) -> Observation:
    """Whether the token is an administrator's."""
    roles = await _roles(case)
    wanted = [account for account in await _accounts(case) if account in roles]
    short = [f"{roles[account]} in account {account}" for account in wanted if roles[account] != "administrator"]
    if short:
        return fail(f"The token's user is {', '.join(short)}.")
    return ok("The token is an administrator's.") if wanted else skip("No account of the token is to be read.")


async def source_is_ours(case: RunbookContext) -> Observation:
    """Whether the project has a source, or may have the default account."""
    bound = await case.load_once(facts.bound)
    if bound:
        return ok(f"The project reads {', '.join(s.external_id for s in bound)}.")
    default = case.settings.chatwoot_account_id
    if default is None:
        return fail("The project reads no Chatwoot source.", "The project has no source to read.", fixes.BIND)
    async with case.resources.db.scoped(case.required_scope) as conn:
        taken = await source_queries.is_claimed_by_another(conn, case.required_scope, default, None)
        let_go = await source_queries.was_ever_bound(conn, case.required_scope)
    if taken:
        return fail(f"The project has no source, and another project reads account {default} or an inbox of it.")
    if let_go:
        return fail("The project let go of its sources.", "The project has no source to read any more.", fixes.BIND)
    return ok(f"The project will be given account {default} by its first sync.")


async def inboxes_exist(case: RunbookContext) -> Observation:
    """Whether each inbox that is bound is there."""
    bound = [s for s in await case.load_once(facts.bound) if s.inbox_id is not None]
    if not bound:
        return ok("No single inbox is bound.")
    roles = await _roles(case)
    accounts = sorted({s.account_id for s in bound if s.account_id in roles})
    try:
        found = await asyncio.gather(*(probes.inboxes(case, account) for account in accounts))
    except ChatwootError as error:
        return fail(error.message, "Chatwoot does not list its inboxes.", _LATER)
    there = {(account, inbox) for account, inboxes in zip(accounts, found, strict=True) for inbox in inboxes}
    gone = [s.external_id for s in bound if s.account_id in accounts and (s.account_id, s.inbox_id) not in there]
    if gone:
        return fail(f"Inbox {', '.join(gone)} is not there, or not for this token.")
    return ok(f"{len(bound)} bound inboxes are there.")


async def last_run_was_well(case: RunbookContext) -> Observation:
    """How the last run ended, and which request failed."""
    return await facts.how_it_ended(case, *_JOBS)


async def _roles(case: RunbookContext) -> dict[int, str]:
    seen = await case.load_once(probes.chatwoot)
    if seen.unreachable or seen.refused:
        raise CheckSkippedError(_NOT_REACHED)
    return seen.roles


async def _accounts(case: RunbookContext) -> list[int]:
    bound = await case.load_once(facts.bound) if case.scope else []
    default = case.settings.chatwoot_account_id
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
            has_base_url,
            (fixes.set_variable("CHATWOOT_BASE_URL", "to the address of Chatwoot"),),
        ),
        Check(
            "api-token",
            "CHATWOOT_API_TOKEN",
            "CHATWOOT_API_TOKEN is set.",
            "CHATWOOT_API_TOKEN is not set.",
            has_token,
            (_TOKEN,),
        ),
        Check(
            "account-id",
            "CHATWOOT_ACCOUNT_ID",
            "CHATWOOT_ACCOUNT_ID is set, or the project has a source of its own.",
            "It is not known which account to read.",
            has_account,
            (fixes.set_variable("CHATWOOT_ACCOUNT_ID", "to the number in Chatwoot's address"), fixes.BIND),
        ),
        Check(
            "reachable",
            "Chatwoot answers",
            "Chatwoot answers at CHATWOOT_BASE_URL.",
            "Chatwoot cannot be reached at CHATWOOT_BASE_URL.",
            is_reached,
            (Fix("Correct CHATWOOT_BASE_URL, or mend the way there: name, certificate, firewall, Chatwoot itself."),),
        ),
        Check(
            "header",
            "Token header",
            "The header `Api-Access-Token` reaches Chatwoot.",
            "A proxy in front of Chatwoot drops the header with the token.",
            header_arrives,
            (Fix("Let the proxy pass `Api-Access-Token` (and, for nginx, set `underscores_in_headers on`)."),),
        ),
        Check(
            "token",
            "Token",
            "Chatwoot knows the token.",
            "Chatwoot does not know CHATWOOT_API_TOKEN: it is wrong or was replaced.",
            token_is_taken,
            (_TOKEN, fixes.SYNC),
        ),
        Check(
            "account",
            "Account",
            "The token's user belongs to the account.",
            "The account does not exist, or the token's user does not belong to it.",
            account_exists,
            (Fix("Correct CHATWOOT_ACCOUNT_ID or the bound source, or add the user to the account."), fixes.SYNC),
        ),
        Check(
            "role",
            "Role",
            "The token's user is an administrator of the account.",
            "The token is an agent's: Chatwoot shows it a part of the conversations and does not say so.",
            role_is_right,
            (_TOKEN, fixes.SYNC),
        ),
        Check(
            "source",
            "Source",
            "The project has a source, or may have the default account.",
            "The source is bound to another project.",
            source_is_ours,
            (Fix("Unbind the source there, or bind another inbox here.", "POST", "/projects/{id}/sources",
                 {"source_kind": "chatwoot_inbox", "external_id": "…"}, "proofdesk source bind ACCOUNT:INBOX"),),
        ),
        Check(
            "inboxes",
            "Inboxes",
            "Each bound inbox exists.",
            "A bound inbox does not exist any more, or the token's user may not see it.",
            inboxes_exist,
            (Fix("Unbind the inbox, and bind one that exists.", "DELETE", "/projects/{id}/sources/{source_id}", None,
                 "proofdesk source unbind ACCOUNT:INBOX"),),
        ),
        Check(
            "last-run",
            "Last run",
            "The last Sync and Reconcile jobs did not fail.",
            "The last run failed.",
            last_run_was_well,
            (fixes.SYNC,),
        ),
    ),
    evidence=(
        EvidenceSection("Failing request", bundle_sources.failed_run_of(*_JOBS)),
        EvidenceSection("Accounts and inboxes", bundle_sources.sources),
    ),
    variables=("CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN", "CHATWOOT_ACCOUNT_ID", "CHATWOOT_CONCURRENCY",
               "CHATWOOT_TIMEOUT_SECONDS"),
)  # fmt: skip
