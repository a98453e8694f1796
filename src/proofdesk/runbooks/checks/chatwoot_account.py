"""What the token may see in Chatwoot, and what the project reads there."""

import asyncio

from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.projects import source_queries
from proofdesk.runbooks import facts, fixes, probes, queries
from proofdesk.runbooks.checks.chatwoot_failures import NOT_REACHED, RETRY_LATER, describe_failure
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Fix, Observation, fail, ok, skip, warn


async def check_account(context: RunbookContext) -> Observation:
    """Check that the token's user belongs to each account that the project reads."""
    roles, required_accounts = await _roles(context), await _accounts(context)
    missing = [str(account) for account in required_accounts if account not in roles]
    if missing:
        own = ", ".join(map(str, roles)) or "none"
        observed = f"The token's user does not belong to account {', '.join(missing)}. Their accounts: {own}."
        return fail(observed, None, await _unbind(context, missing[0]))
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


async def check_access(context: RunbookContext) -> Observation:
    """Check that the token can list the conversations of each account that the project reads."""
    roles = await _roles(context)
    seen = {account: await _account(context, account) for account in await _accounts(context) if account in roles}
    error = next((answer for answer in seen.values() if isinstance(answer, ChatwootError)), None)
    if error is not None:
        return describe_failure(error)
    counts = ", ".join(f"{count} in account {account}" for account, count in seen.items())
    return (
        ok(f"The token sees conversations: {counts}.") if seen else skip("The project reads no account of the token.")
    )


async def check_visibility(context: RunbookContext) -> Observation:
    """Check that the token sees at least as many conversations as are stored."""
    roles, fewer = await _roles(context), list[str]()
    for account in await _accounts(context):
        seen = await _account(context, account) if account in roles else None
        if not isinstance(seen, int):
            return skip(NOT_REACHED)
        async with context.resources.db.scoped(context.required_scope) as conn:
            stored = await queries.count_conversations(conn, context.required_scope, account)
        if seen < stored:
            fewer.append(f"The token sees {seen} conversations of account {account}, {stored} are stored")
    return warn(f"{'; '.join(fewer)}.", None, fixes.RECONCILE) if fewer else ok("The token sees what is stored.")


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
        return fail(error.message, "Chatwoot does not list its inboxes.", RETRY_LATER)
    existing = {(account, inbox) for account, inboxes in zip(accounts, inbox_ids, strict=True) for inbox in inboxes}
    missing = [s.external_id for s in bound if s.account_id in accounts and (s.account_id, s.inbox_id) not in existing]
    if missing:
        return fail(f"Inbox {', '.join(missing)} does not exist, or the token cannot see it.")
    return ok(f"All {len(bound)} bound inboxes exist.")


async def _unbind(context: RunbookContext, account_id: str) -> Fix | None:
    """Return the fix that unbinds a source of this account, None if the account is the default one."""
    bound = await context.load_once(facts.load_sources) if context.scope else []
    source = next((s for s in bound if str(s.account_id) == account_id), None)
    if source is None or context.scope is None:
        return None
    label = f"Unbind {source.external_id}, then bind an account of the token's user."
    path = f"/projects/{context.scope.project_id}/sources/{source.id}"
    return Fix(label, "DELETE", path, None, f"proofdesk source unbind {source.external_id}")


async def _roles(context: RunbookContext) -> dict[int, str]:
    probe = await context.load_once(probes.probe_chatwoot)
    if probe.unreachable or probe.rejected:
        raise CheckSkippedError(NOT_REACHED)
    return probe.roles


async def _accounts(context: RunbookContext) -> list[int]:
    bound = await context.load_once(facts.load_sources) if context.scope else []
    default = context.settings.chatwoot_account_id
    return sorted({s.account_id for s in bound} or ({default} if default is not None else set()))


async def _account(context: RunbookContext, account_id: int) -> int | ChatwootError:
    """Return what `probe_account` returns. Each account is requested once."""
    return (await context.load_once(_load_accounts))[account_id]


async def _load_accounts(context: RunbookContext) -> dict[int, int | ChatwootError]:
    accounts = await _accounts(context)
    return dict(zip(accounts, await asyncio.gather(*(probes.probe_account(context, a) for a in accounts)), strict=True))
