"""Messages that are not sent, with their attempts, their policy, and when they can be sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from proofdesk.outbound import message_queries, recipient_queries
from proofdesk.outbound.gates import (
    OPTED_OUT,
    REPLIED,
    ContactState,
    Policy,
    close_expired_window,
    combine_policies,
    evaluate,
)
from proofdesk.outbound.message_queries import OutboundFilter, OutboundMessage
from proofdesk.runbooks import outbound_queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Observation, fail, ok, warn
from proofdesk.runbooks.outbound_queries import OutboundAttempt

MAX_NAMED = 3
_LATEST = 200


@dataclass(frozen=True)
class UnsentMessage:
    """A message that is not sent. `gate` is the gate that blocks it now, `until` when that ends."""

    message: OutboundMessage
    attempts: list[OutboundAttempt]
    policy: Policy | None
    gate: str | None
    until: datetime | None


async def load_unsent_messages(context: RunbookContext) -> list[UnsentMessage]:
    """Return the message of the context, or all unsent messages, newest first."""
    scope = context.required_scope
    async with context.resources.db.scoped(scope) as conn:
        if context.outbound_id is not None:
            messages = await message_queries.fetch_messages(conn, scope, [context.outbound_id])
        else:
            latest = await message_queries.fetch_message_page(conn, scope, OutboundFilter(), _LATEST, 0)
            messages = [m for m in latest if m.status != "sent"]
        recipients = [m.recipient_ref for m in messages]
        last_inbound = await recipient_queries.fetch_latest_replies(conn, scope, recipients)
        attempts = await outbound_queries.list_attempts(conn, scope, [m.id for m in messages])
        channels = [m.channel for m in messages]
        policies = await outbound_queries.list_recipient_policies(conn, scope, channels, recipients)
    return [
        _unsent_message(
            context,
            message,
            [a for a in attempts if a.outbound_id == message.id],
            [p for p in policies if (p.channel, p.recipient) == (message.channel, message.recipient_ref)],
            last_inbound.get(message.recipient_ref),
        )
        for message in messages
    ]


def _unsent_message(
    context: RunbookContext,
    message: OutboundMessage,
    attempts: list[OutboundAttempt],
    policies: Sequence[Policy],
    last_inbound: datetime | None,
) -> UnsentMessage:
    if not policies:
        return UnsentMessage(message, attempts, None, None, None)
    policy = combine_policies(policies, context.now())
    decision = evaluate(message.approved_at or context.now(), policy, ContactState(last_inbound), context.now())
    return UnsentMessage(message, attempts, policy, decision.reason, decision.until)


async def check_none(
    context: RunbookContext,
    condition: Callable[[UnsentMessage], bool],
    what: str,
    observed_if_none: str,
    *,
    expected_in_general: bool = False,
) -> Observation:
    """Fail if a message meets the condition. With `expected_in_general`, only warn when all messages are checked."""
    matches = [h for h in await context.load_once(load_unsent_messages) if condition(h)]
    if not matches:
        return ok(observed_if_none)
    observed = f"{len(matches)} × {what}: {'; '.join(map(describe, matches[:MAX_NAMED]))}."
    return warn(observed) if expected_in_general and context.outbound_id is None else fail(observed)


def is_pending(unsent: UnsentMessage) -> bool:
    """Return whether a worker can still send the message."""
    return unsent.message.status in ("approved", "failed")


def describe(unsent: UnsentMessage) -> str:
    """Return one line: state, attempts, counters, and when the message can be sent."""
    message, policy = unsent.message, unsent.policy
    counts = ""
    if policy is not None:
        current = close_expired_window(policy, message.updated_at)
        ends = f", window ends {_format_time(policy.window_ends_at)}" if policy.window_ends_at else ""
        counts = f", {current.sent_in_window} of {policy.frequency_cap} in {policy.frequency_window_hours} h{ends}"
    error = f", {message.last_error}" if message.last_error else ""
    state = f"{message.channel}, {message.status}{error}, {len(unsent.attempts)} attempts{counts}"
    return f"message {message.id} ({state}, {describe_next_attempt(unsent)})"


def describe_next_attempt(unsent: UnsentMessage) -> str:
    """Return when the message can be sent."""
    message = unsent.message
    if not is_pending(unsent):
        return "sent" if message.status == "sent" else "only after a person acts"
    times = [t for t in (message.next_attempt_at, message.scheduled_at, unsent.until) if t is not None]
    if unsent.gate in (OPTED_OUT, REPLIED) or message.next_attempt_at is None or not times:
        return "only after a person acts"
    return f"can be sent from {_format_time(max(times))}"


def _format_time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "never"
