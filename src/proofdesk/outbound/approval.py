"""Decisions that people take about a message: approve, cancel, retry, redraft."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from psycopg.errors import UniqueViolation

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Denied, Invalid
from proofdesk.evidence import references
from proofdesk.outbound import approval_queries, messages, policies, suppressions, version_queries
from proofdesk.outbound.drafts import DuplicateOutbound
from proofdesk.outbound.gates import OPTED_OUT
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import InvalidState
from proofdesk.projects import queries as project_queries
from proofdesk.projects.scope import Scope

StateChange = Callable[[Conn, Scope, UUID], Awaitable[bool]]
_PARTICIPLES = {
    "approve": "approved",
    "cancel": "cancelled",
    "retry": "retried",
    "redraft": "drafted again",
    "assign": "assigned",
}


class FourEyesRequired(Denied):
    """Who drafted or last edited a message may not approve it, because OUTBOUND_FOUR_EYES is set."""

    code = "four_eyes_required"


class InvalidApprover(Invalid):
    """A draft can be assigned only to a person who may approve it."""

    code = "invalid_approver"


async def approve(
    db: Database, scope: Scope, outbound_id: UUID, *, four_eyes: bool = False, evidence_refs: list[Any] | None = None
) -> OutboundMessage:
    """Approve a draft with its present content; another content makes it a draft again.

    Raises `OutboundNotFound`, `InvalidState`, `FourEyesRequired` or `InvalidEvidenceRef`.
    """
    scope.require("approver")
    async with db.scoped(scope) as conn:
        draft = await messages.lock_message(conn, scope, outbound_id)
        if four_eyes and await version_queries.fetch_author(conn, scope, outbound_id) == scope.actor.username:
            raise FourEyesRequired("Another person must approve this message: you wrote its text.", status=403)
        payload = {"content_hash": draft.content_hash}
        return await _change_state(
            conn, scope, draft, approval_queries.approve_draft, "approve", payload, evidence_refs
        )


async def assign(db: Database, scope: Scope, outbound_id: UUID, username: str) -> OutboundMessage:
    """Ask a person to approve a draft. Everybody else who may approve still may.

    Raises `OutboundNotFound`, `InvalidState`, or `InvalidApprover`.
    """
    scope.require("editor")
    async with db.scoped(scope) as conn:
        draft = await messages.lock_message(conn, scope, outbound_id)
        approvers = await project_queries.list_approvers(conn, scope)
        if username.strip() not in approvers:
            raise InvalidApprover(f"{username[:80]!r} may not approve messages in this project.")

        async def change(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
            return await approval_queries.assign_draft(conn, scope, outbound_id, username.strip())

        payload = {"to": username.strip(), "content_hash": draft.content_hash}
        return await _change_state(conn, scope, draft, change, "assign", payload)


async def list_approvers(db: Database, scope: Scope) -> list[str]:
    """Return the usernames of those who may approve messages in the project."""
    async with db.scoped(scope) as conn:
        return await project_queries.list_approvers(conn, scope)


async def cancel(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Cancel a message that was not sent. Raises `OutboundNotFound` or `InvalidState`."""
    scope.require("editor")
    async with db.scoped(scope) as conn:
        message = await messages.lock_message(conn, scope, outbound_id)
        return await _change_state(conn, scope, message, approval_queries.cancel_message, "cancel")


async def retry(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Send a failed message again, with its approval and all its retries.

    A message whose delivery is unknown may arrive twice; the caller accepts that. A recipient whom its failure put on
    the suppression list is taken off. Raises `OutboundNotFound` or `InvalidState`.
    """
    scope.require("approver")
    async with db.scoped(scope) as conn:
        message = await messages.lock_message(conn, scope, outbound_id)
        await suppressions.remove_of_message(conn, scope, outbound_id)
        payload = {"after": message.last_error}
        return await _change_state(conn, scope, message, approval_queries.retry_message, "retry", payload)


async def redraft(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Turn a failed, cancelled or blocked message into a draft that needs a new approval.

    Raises `OutboundNotFound`, `DuplicateOutbound` when another message holds its dedupe key now, or `InvalidState`: a
    recipient who opted out must be opted in first.
    """
    scope.require("editor")
    try:
        return await _redraft(db, scope, outbound_id)
    except UniqueViolation as error:
        raise DuplicateOutbound(
            "Another message holds the dedupe key of this message. Only one can be sent."
        ) from error


async def _redraft(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    async with db.scoped(scope) as conn:
        message = await messages.lock_message(conn, scope, outbound_id)
        recipient_policies = await policies.load_policies(conn, scope, message.channel, message.recipient_ref)
        policy = messages.effective_policy(recipient_policies)
        if message.status == "blocked_opt_out" and policy is not None and policy.opted_out:
            raise InvalidState(
                "The recipient has opted out. Opt them in with a reason before you draft this message again.",
                message,
                reason=OPTED_OUT,
            )
        payload = {"after": message.last_error}
        return await _change_state(conn, scope, message, approval_queries.redraft_message, "redraft", payload)


async def _change_state(
    conn: Conn,
    scope: Scope,
    message: OutboundMessage,
    change: StateChange,
    verb: str,
    payload: dict[str, Any] | None = None,
    evidence_refs: list[Any] | None = None,
) -> OutboundMessage:
    """Change the state of a locked message and record the event. Raises `InvalidState`."""
    if not await change(conn, scope, message.id):
        raise InvalidState(f"{messages.name_by_status(message)} cannot be {_PARTICIPLES[verb]}.", message)
    await events.record(
        conn,
        scope.actor,
        f"outbound.{verb}",
        messages.ENTITY_TYPE,
        message.id,
        scope=scope,
        payload={"from": message.status, **(payload or {})},
        evidence_refs=await references.cite(conn, scope, evidence_refs or []),
    )
    return await messages.read_message(conn, scope, message.id)
