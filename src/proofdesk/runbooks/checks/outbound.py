"""Outbound blocked or failing: one message, or all that are not sent, from who carries them out to who gets them."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from proofdesk.jobs import catalog
from proofdesk.outbound.channels.registry import REQUIRED_SETTINGS
from proofdesk.outbound.gates import CAP_REACHED, OPTED_OUT, REPLIED
from proofdesk.runbooks import fixes, outbound_evidence, probes, unsent_messages
from proofdesk.runbooks.checks import scheduler
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn
from proofdesk.runbooks.unsent_messages import UnsentMessage

_JOB = catalog.OUTBOUND.name
_NAMED = 3
_LATE_AFTER = timedelta(minutes=10)
_UNCONFIGURED, _UNKNOWN, _REFUSED = "provider_not_configured", "delivery_unknown", "provider_error"


async def check_message(context: RunbookContext) -> Observation:
    """Whether there is such a message."""
    messages = await context.load_once(unsent_messages.load_unsent_messages)
    if context.outbound_id is None:
        return ok(f"{len(messages)} messages are not sent.")
    if not messages:
        return fail(f"The project has no message {context.outbound_id}.")
    message = messages[0].message
    retries = f"{message.retry_count} of {message.max_retries} retries used"
    return ok(
        f"{message.status}; last_error {message.last_error or 'none'}; {retries}; {unsent_messages.describe_next_attempt(messages[0])}."
    )


async def check_worker(context: RunbookContext) -> Observation:
    """Whether anything is carried out at all, where something is to be."""
    if not await _any(context, lambda h: h.message.status in ("approved", "sending", "failed")):
        return ok("Nothing waits for a worker.")
    return await scheduler.check_worker(context)


async def check_schedule(context: RunbookContext) -> Observation:
    """Whether sending is paused. By a person, that is meant so, unless one message is asked about."""
    paused = [
        s for s in await context.load_once(scheduler.load_schedules) if s.job_type == _JOB and s.status == "paused"
    ]
    if not paused:
        return ok(f"{_JOB} is not paused.")
    observed = f"{_JOB} is paused: {await scheduler.describe_pause(context, paused[0])}"
    return (
        warn(observed) if paused[0].paused_cause is None and context.outbound_id is None else fail(observed, observed)
    )


async def check_opt_out(context: RunbookContext) -> Observation:
    """Whether the recipient said no. Of all messages together that is what the gate is for."""
    return await _check_none(
        context,
        lambda h: h.message.status == "blocked_opt_out" or (unsent_messages.is_pending(h) and h.gate == OPTED_OUT),
        "opted_out is true",
        "No recipient opted out.",
        expected_in_general=True,
    )


async def check_reply(context: RunbookContext) -> Observation:
    """Whether the recipient wrote after the approval."""
    return await _check_none(
        context,
        lambda h: h.message.last_error == REPLIED or (unsent_messages.is_pending(h) and h.gate == REPLIED),
        "the recipient wrote after the approval, and stop_on_reply is true",
        "No recipient wrote after the approval.",
        expected_in_general=True,
    )


async def check_approval(context: RunbookContext) -> Observation:
    """Whether somebody approved what is to go out."""
    return await _check_none(
        context,
        lambda h: h.message.status == "draft",
        "draft: nobody approved it as it is",
        "Nothing waits for an approval.",
        expected_in_general=True,
    )


async def check_channel_configured(context: RunbookContext) -> Observation:
    """Whether the channels in use are configured."""
    usable = context.resources.outbound
    channels = {
        h.message.channel
        for h in await context.load_once(unsent_messages.load_unsent_messages)
        if unsent_messages.is_pending(h)
    }
    missing = sorted(channel for channel in channels if channel not in usable)
    if missing:
        set_variables = [fixes.set_variable(REQUIRED_SETTINGS[channel], f"for {channel}") for channel in missing]
        return fail(f"Not configured: {', '.join(missing)}.", None, *set_variables)
    waiting = await _named(context, lambda h: h.message.last_error == _UNCONFIGURED and unsent_messages.is_pending(h))
    if waiting:
        return warn(f"It is configured meanwhile; waiting since: {waiting}.", None, _PROCESS)
    return ok(f"Configured: {', '.join(sorted(usable)) or 'none, and none is needed'}.")


async def check_channel_reachable(context: RunbookContext) -> Observation:
    """Whether the services of the channels in use answer and let us in."""
    channels = {
        h.message.channel
        for h in await context.load_once(unsent_messages.load_unsent_messages)
        if unsent_messages.is_pending(h)
    } & set(context.resources.outbound)
    if not channels:
        return skip("No message waits for a channel.")
    errors = [error for channel in sorted(channels) if (error := await probes.probe_channel(context, channel))]
    return fail(" ".join(errors)) if errors else ok(f"{', '.join(sorted(channels))} answers.")


async def check_unknown_outcomes(context: RunbookContext) -> Observation:
    """Whether an attempt ended without anybody knowing how."""

    def unknown(h: UnsentMessage) -> bool:
        last = h.attempts[-1] if h.attempts else None
        lost = last is not None and last.outcome is None and context.now() - last.started_at > _LATE_AFTER
        return h.message.last_error == _UNKNOWN or lost

    return await _check_none(
        context, unknown, "nobody knows whether the last attempt arrived", "Every attempt's outcome is known."
    )


async def check_retries(context: RunbookContext) -> Observation:
    """Whether messages failed for good."""

    def is_over(h: UnsentMessage) -> bool:
        return h.message.status == "failed" and h.message.next_attempt_at is None and h.message.last_error != _UNKNOWN

    return await _check_none(context, is_over, "failed, and nothing more happens by itself", "Nothing failed for good.")


async def check_provider(context: RunbookContext) -> Observation:
    """Whether messages failed and are tried again."""
    return await _check_none(
        context,
        lambda h: h.message.status == "failed" and (h.message.last_error or "").startswith(_REFUSED),
        "the provider did not take it",
        "No message waits for a retry.",
    )


async def check_frequency_cap(context: RunbookContext) -> Observation:
    """Whether the recipient got as many as he may in his window, which ends by itself."""
    return await _check_none(
        context,
        lambda h: unsent_messages.is_pending(h) and CAP_REACHED in (h.gate, h.message.last_error),
        "frequency_cap is reached",
        "No recipient's cap is reached.",
        expected_in_general=True,
    )


async def check_scheduled_time(context: RunbookContext) -> Observation:
    """Whether messages are scheduled for later."""
    return await _check_none(
        context,
        lambda h: (
            unsent_messages.is_pending(h)
            and h.message.scheduled_at is not None
            and h.message.scheduled_at > context.now()
        ),
        "scheduled for later",
        "Nothing is scheduled for later.",
        expected_in_general=True,
    )


async def check_due_messages(context: RunbookContext) -> Observation:
    """Whether something is due for long, although nothing stands in its way."""

    def late(h: UnsentMessage) -> bool:
        due = h.message.next_attempt_at
        return (
            unsent_messages.is_pending(h) and h.gate is None and due is not None and context.now() - due > _LATE_AFTER
        )

    return await _check_none(context, late, "due, and not sent", "Nothing is late.")


async def _check_none(
    context: RunbookContext,
    condition: Callable[[UnsentMessage], bool],
    what: str,
    observed_if_none: str,
    *,
    expected_in_general: bool = False,
) -> Observation:
    """Fails when it applies to a message; `gently`: of all messages together that is nothing unusual."""
    matches = [h for h in await context.load_once(unsent_messages.load_unsent_messages) if condition(h)]
    if not matches:
        return ok(observed_if_none)
    observed = f"{len(matches)} × {what}: {'; '.join(map(unsent_messages.describe, matches[:_NAMED]))}."
    return warn(observed) if expected_in_general and context.outbound_id is None else fail(observed)


async def _any(context: RunbookContext, condition: Callable[[UnsentMessage], bool]) -> bool:
    return any(map(condition, await context.load_once(unsent_messages.load_unsent_messages)))


async def _named(context: RunbookContext, condition: Callable[[UnsentMessage], bool]) -> str:
    return "; ".join(
        unsent_messages.describe(h)
        for h in _first(h for h in await context.load_once(unsent_messages.load_unsent_messages) if condition(h))
    )


def _first(messages: Iterable[UnsentMessage]) -> list[UnsentMessage]:
    return list(messages)[:_NAMED]


_PROCESS = Fix("Send what is due.", "POST", "/outbound/process", {})
_RETRY = Fix("Mend the cause, then retry the message.", "POST", "/outbound/{id}/retry", {})
_OPT_IN = Fix(
    "Only an explicit opt-in, with a reason or evidence, lets the person in again; then make a new draft of it.",
    "POST",
    "/outbound/opt-out",
    {"contact_global_id": "…", "channel": "…", "opted_out": False, "reason": "…"},
)
_CAP = Fix(
    "Wait for the end of the window, or change the cap.",
    "POST",
    "/outbound/opt-out",
    {"contact_global_id": "…", "channel": "…", "frequency_cap": 5},
)

RUNBOOK = Runbook(
    slug="outbound-blocked",
    title="Outbound delivery blocked or failing",
    symptom="A message stays `draft`, `approved`, `failed` or `blocked_opt_out` and does not become `sent`.",
    impact="People wait for an answer that was written.",
    checks=(
        Check("message", "Message", "The message exists.", "There is no such message in this project.",
              check_message, (Fix("Choose the project, and take the id from `GET /outbound`.", "GET", "/outbound"),)),
        Check("opted-out", "Opt-out", "The recipient did not opt out (`opted_out`).",
              "The recipient opted out, so nothing is sent to him.", check_opt_out, (_OPT_IN,)),
        Check("replied", "Reply", "The recipient did not write after the approval (`stop_on_reply`).",
              "The recipient wrote after the approval, so the message was stopped: it may not fit any more.",
              check_reply, (Fix("Read the reply, then make a new draft.", "POST", "/outbound/{id}/redraft", {}),)),
        Check("approval", "Approval", "The message is approved exactly as it is.",
              "Nobody approved the message, or it was changed after that.", check_approval,
              (Fix("Read and approve it.", "POST", "/outbound/{id}/approve", {}),)),
        Check("configured", "Channel configured", "The channel is configured.",
              "The channel is not configured (`provider_not_configured`).", check_channel_configured,
              (fixes.set_variable("the variables of the channel", "(SMTP_URL and SMTP_FROM for email)"),)),
        Check("reachable", "Channel answers", "The service behind the channel answers and lets us in.",
              "The service behind the channel cannot be reached or refuses us.", check_channel_reachable,
              (Fix("Mend the way to the service or its credentials, then send what is due.", "POST",
                   "/outbound/process", {}),)),
        Check("unknown", "Attempts", "Every attempt in `outbound_attempts` has a known outcome.",
              "Nobody knows whether the last attempt arrived (`delivery_unknown`), so it is not repeated by itself.",
              check_unknown_outcomes, (Fix("Look at the recipient's side; then retry, or cancel.", "POST",
                                     "/outbound/{id}/retry", {}),)),
        Check("retries", "Retries", "`retry_count` is below `max_retries`.",
              "The message failed for good: its retries are used up, or the provider will never take it.",
              check_retries, (_RETRY,)),
        Check("provider", "Provider", "The provider takes the message.",
              "The provider did not take the message (`provider_error`); it is tried again.", check_provider,
              (Fix("Mend payload or provider, then send what is due.", "POST", "/outbound/process", {}),)),
        Check("cap", "Frequency cap", "The recipient got fewer messages than `frequency_cap` in his window.",
              "The recipient's frequency cap is reached (`frequency_cap_reached`).", check_frequency_cap, (_CAP,)),
        Check("scheduled", "Time", "`scheduled_at` has passed.", "The message is scheduled for later.",
              check_scheduled_time, (Fix("Wait, or send it now.", "POST", "/outbound/{id}/send", {}),)),
        Check("paused", "Schedule", f"`{_JOB}` is `active` in `scheduled_jobs`.", "Sending is paused.",
              check_schedule, (Fix("Resume it.", "PATCH", f"/jobs/scheduler/{_JOB}", {"status": "active"}),)),
        Check("worker", "Worker", "A worker is alive.", "No worker is alive, so nothing is sent by itself.",
              check_worker, (fixes.WORKER, _PROCESS)),
        Check("late", "Due messages", "What is due is sent.", "Messages are due, and nobody sends them.",
              check_due_messages, (_PROCESS,)),
    ),
    evidence=(
        EvidenceSection("Messages with attempts and policy", outbound_evidence.collect_messages),
        EvidenceSection("Related events of the trail (`outbound.*`)", outbound_evidence.collect_events),
    ),
    variables=("CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN", "SMTP_URL", "SMTP_FROM", "TELEGRAM_BOT_TOKEN"),
)  # fmt: skip
