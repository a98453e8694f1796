"""What belongs into the evidence of a message that is not sent: its history and policy, without what it says."""

from collections.abc import Awaitable, Callable
from typing import Any

from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.runbooks.context import RunbookContext

_MESSAGES, _EVENTS = 20, 100
_OF_MESSAGE = (
    "id", "channel", "status", "last_error", "retry_count", "max_retries", "scheduled_at", "next_attempt_at",
    "approved_at", "cancelled_at", "sent_at", "created_at", "updated_at", "content_hash",
)  # fmt: skip
_OF_POLICY = (
    "id", "channel", "opted_out", "stop_on_reply", "frequency_window_hours", "frequency_cap", "sent_in_window",
    "window_started_at", "window_ends_at", "last_outbound_at", "last_inbound_at",
)  # fmt: skip


def collect_messages(held: Callable[[RunbookContext], Any]) -> Callable[[RunbookContext], Awaitable[Any]]:
    """Each message as it stands: payload by its fields only, attempts, and the policy of its recipient."""

    async def gather(case: RunbookContext) -> Any:
        return [_told(one) for one in (await case.load_once(held))[:_MESSAGES]]

    return gather


async def collect_events(case: RunbookContext) -> Any:
    """Who did what about it."""
    about = str(case.outbound_id) if case.outbound_id else None
    asked = AuditFilter("outbound.*", None, about)
    found_events = await chain.list_events(case.resources.db, case.required_scope, case.actor, asked, _EVENTS, 0)
    names = ("created_at", "action", "status", "actor_username", "entity_type", "entity_id", "request_id")
    return [{name: getattr(event, name) for name in names} for event in found_events]


def _told(one: Any) -> dict[str, Any]:
    return {
        "message": {name: getattr(one.message, name) for name in _OF_MESSAGE},
        # Texts are hashed above; here is what the payload is made of.
        "payload": {name: _size(value) for name, value in one.message.payload.items()},
        "recipient": _kind(one.message.recipient_ref),
        "attempts": one.attempts,
        "policy": one.policy and {name: getattr(one.policy, name) for name in _OF_POLICY},
        "gate": one.gate,
    }


def _size(value: Any) -> str:
    return f"{len(value)} characters" if isinstance(value, str) else type(value).__name__


def _kind(recipient: str) -> str:
    return recipient if recipient.startswith(("cw:", "cwc:")) else "an address"
