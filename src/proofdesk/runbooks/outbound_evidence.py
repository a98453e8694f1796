"""Evidence about unsent messages: history, attempts and policy, without their texts."""

from typing import Any

from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.unsent_messages import UnsentMessage, load_unsent_messages

_MESSAGES, _EVENTS = 20, 100
_MESSAGE_FIELDS = (
    "id", "channel", "status", "last_error", "retry_count", "max_retries", "scheduled_at", "next_attempt_at",
    "approved_at", "cancelled_at", "sent_at", "created_at", "updated_at", "content_hash",
)  # fmt: skip
_POLICY_FIELDS = (
    "id", "channel", "opted_out", "stop_on_reply", "frequency_window_hours", "frequency_cap", "sent_in_window",
    "window_started_at", "window_ends_at", "last_outbound_at", "last_inbound_at",
)  # fmt: skip


async def collect_messages(context: RunbookContext) -> Any:
    """Return unsent messages: the fields of their payload, their attempts, and their recipient's policy."""
    messages = await context.load_once(load_unsent_messages)
    return [_message_evidence(message) for message in messages[:_MESSAGES]]


async def collect_events(context: RunbookContext) -> Any:
    """Return the audit events of the message, or of all messages."""
    message_id = str(context.outbound_id) if context.outbound_id else None
    event_filter = AuditFilter("outbound.*", None, message_id)
    events = await chain.list_events(
        context.resources.db, context.required_scope, context.actor, event_filter, _EVENTS, 0
    )
    names = ("created_at", "action", "status", "actor_username", "entity_type", "entity_id", "request_id")
    return [{name: getattr(event, name) for name in names} for event in events]


def _message_evidence(unsent: UnsentMessage) -> dict[str, Any]:
    return {
        "message": {name: getattr(unsent.message, name) for name in _MESSAGE_FIELDS},
        # Only the size of each text: `content_hash` above identifies the payload.
        "payload": {name: _size(value) for name, value in unsent.message.payload.items()},
        "recipient": _recipient_kind(unsent.message.recipient_ref),
        "attempts": unsent.attempts,
        "policy": unsent.policy and {name: getattr(unsent.policy, name) for name in _POLICY_FIELDS},
        "gate": unsent.gate,
    }


def _size(value: Any) -> str:
    return f"{len(value)} characters" if isinstance(value, str) else type(value).__name__


def _recipient_kind(recipient: str) -> str:
    return recipient if recipient.startswith(("cw:", "cwc:")) else "an address"
