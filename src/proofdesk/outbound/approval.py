"""What people decide about a message: approve, cancel, let it be tried again, make a draft of it again."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Denied
from proofdesk.evidence import references
from proofdesk.outbound import message_queries, messages, policies
from proofdesk.outbound.drafts import DuplicateOutbound
from proofdesk.outbound.gates import OPTED_OUT
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import InvalidState
from proofdesk.projects.scope import Scope

Step = Callable[[Conn, Scope, UUID], Awaitable[bool]]


class FourEyesRequired(Denied):
    """Whoever drafted a message may not approve it: OUTBOUND_FOUR_EYES is set."""

    code = "four_eyes_required"


async def approve(
    db: Database, scope: Scope, outbound_id: UUID, *, four_eyes: bool = False, evidence_refs: list[Any] | None = None
) -> OutboundMessage:
    """Approve a draft, as it is now and for as long as it says the same.

    Raises `OutboundNotFound`, `InvalidState`, `FourEyesRequired` or `InvalidEvidenceRef`.
    """
    async with db.scoped(scope) as conn:
        draft = await messages.lock_message(conn, scope, outbound_id)
        if four_eyes and draft.created_by == scope.actor.username:
            raise FourEyesRequired("Somebody else has to approve this: whoever drafts does not approve.", status=403)
        told = {"content_hash": draft.content_hash}
        return await _take(conn, scope, draft, approval_queries.approve_draft, "approve", told, evidence_refs)


async def cancel(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Let a message never go out. Raises `OutboundNotFound` or `InvalidState`."""
    async with db.scoped(scope) as conn:
        found = await messages.lock_message(conn, scope, outbound_id)
        return await _take(conn, scope, found, approval_queries.cancel_message, "cancel")


async def retry(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Let a message that failed be tried again, with all its retries and the approval it has.

    Whoever asks for it takes it upon himself that a message whose delivery is not known may arrive twice. Raises
    `OutboundNotFound` or `InvalidState`.
    """
    async with db.scoped(scope) as conn:
        found = await messages.lock_message(conn, scope, outbound_id)
        return await _take(conn, scope, found, approval_queries.retry_message, "retry", {"after": found.last_error})


async def redraft(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Make a draft again, to be approved anew, of what failed, was cancelled, or was blocked and is not any more.

    Raises `OutboundNotFound`, `DuplicateOutbound` when another message has taken its dedupe key meanwhile, or
    `InvalidState`: somebody who opted out has to be opted in first.
    """
    try:
        return await _redraft(db, scope, outbound_id)
    except UniqueViolation as error:
        raise DuplicateOutbound(
            "Another message has this one's dedupe key by now: only one of them can go out."
        ) from error


async def _redraft(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    async with db.scoped(scope) as conn:
        found = await messages.lock_message(conn, scope, outbound_id)
        person = messages.effective_policy(
            await policies.load_policies(conn, scope, found.channel, found.recipient_ref)
        )
        if found.status == "blocked_opt_out" and person is not None and person.opted_out:
            raise InvalidState(
                "The recipient has opted out: only an explicit opt-in, with its reason, lets this be drafted again.",
                found,
                reason=OPTED_OUT,
            )
        return await _take(conn, scope, found, approval_queries.redraft_message, "redraft", {"after": found.last_error})


async def _take(
    conn: Conn,
    scope: Scope,
    before: OutboundMessage,
    step: Step,
    verb: str,
    told: dict[str, Any] | None = None,
    evidence_refs: list[Any] | None = None,
) -> OutboundMessage:
    """One step of a message that is held, with its event. Raises `InvalidState`."""
    if not await step(conn, scope, before.id):
        raise InvalidState(f"A message that is {before.status} cannot be: {verb}.", before)
    payload = {"from": before.status, **(told or {})}
    await events.record(
        conn,
        scope.actor,
        f"outbound.{verb}",
        messages.ENTITY_TYPE,
        before.id,
        scope=scope,
        payload=payload,
        evidence_refs=await references.cite(conn, scope, evidence_refs or []),
    )
    return await messages.read_message(conn, scope, before.id)
