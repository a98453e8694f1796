"""Messages that are not sent, each with what is known of it and when it can go out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from proofdesk.outbound import message_queries, policy_queries
from proofdesk.outbound.gates import OPTED_OUT, REPLIED, Policy, close_expired_window, combine_policies, evaluate
from proofdesk.outbound.message_queries import OutboundFilter, OutboundMessage
from proofdesk.runbooks import outbound_queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.outbound_queries import OutboundAttempt

_MOST = 200


@dataclass(frozen=True)
class UnsentMessage:
    """A message that is not sent. `gate` is what its recipient's policy says now, `until` when that ends."""

    message: OutboundMessage
    attempts: list[OutboundAttempt]
    policy: Policy | None
    gate: str | None
    until: datetime | None


async def load_unsent_messages(case: RunbookContext) -> list[UnsentMessage]:
    """The message that is asked about, or all that are not sent, newest first."""
    async with case.resources.db.scoped(case.required_scope) as conn:
        if case.outbound_id is not None:
            messages = await message_queries.fetch_messages(conn, case.required_scope, [case.outbound_id])
        else:
            messages = [m for m in await message_queries.fetch_message_page(conn, case.required_scope, OutboundFilter(), _MOST, 0) if m.status != "sent"]
        recipients = [m.recipient_ref for m in messages]
        last_inbound = await policy_queries.fetch_latest_replies(conn, case.required_scope, recipients)
        attempts = await outbound_queries.list_attempts(conn, case.required_scope, [m.id for m in messages])
        policies = await outbound_queries.list_recipient_policies(conn, case.required_scope, [m.channel for m in messages], recipients)
    return [
        _unsent_message(
            case,
            message,
            [t for t in attempts if t.outbound_id == message.id],
            [p for p in policies if (p.channel, p.recipient) == (message.channel, message.recipient_ref)],
            last_inbound.get(message.recipient_ref),
        )
        for message in messages
    ]


def _unsent_message(
    case: RunbookContext, message: OutboundMessage, attempts: list[OutboundAttempt], policies: Sequence[Policy], last_inbound: datetime | None
) -> UnsentMessage:
    if not policies:
        return UnsentMessage(message, attempts, None, None, None)
    policy = combine_policies(policies, case.now())
    decision = evaluate(message.approved_at or case.now(), policy, last_inbound, case.now())
    return UnsentMessage(message, attempts, policy, decision.reason, decision.until)


def is_pending(unsent: UnsentMessage) -> bool:
    """Whether it could still go out by itself."""
    return unsent.message.status in ("approved", "failed")


def describe(unsent: UnsentMessage) -> str:
    """A message in a line: state, attempts, counters, and when it can go out."""
    message, policy = unsent.message, unsent.policy
    counts = ""
    if policy is not None:
        now_live = close_expired_window(policy, message.updated_at)
        ends = f", window ends {_moment(policy.window_ends_at)}" if policy.window_ends_at else ""
        counts = f", {now_live.sent_in_window} of {policy.frequency_cap} in {policy.frequency_window_hours} h{ends}"
    error = f", {message.last_error}" if message.last_error else ""
    return f"{message.id} ({message.channel}, {message.status}{error}, {len(unsent.attempts)} attempts{counts}, {describe_next_attempt(unsent)})"


def describe_next_attempt(unsent: UnsentMessage) -> str:
    """When it can go out."""
    message = unsent.message
    if not is_pending(unsent):
        return "sent" if message.status == "sent" else "only after a person acts"
    times = [t for t in (message.next_attempt_at, message.scheduled_at, unsent.until) if t is not None]
    if unsent.gate in (OPTED_OUT, REPLIED) or message.next_attempt_at is None or not times:
        return "only after a person acts"
    return f"can go out from {_moment(max(times))}"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"
