"""Outbound blocked or failing: checks one message or all unsent messages, from their gates to the worker."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from proofdesk.jobs import catalog
from proofdesk.outbound import kill_switch
from proofdesk.outbound.channels.registry import REQUIRED_SETTINGS
from proofdesk.outbound.gates import CAP_REACHED, OPTED_OUT, REPLIED, UNCONFIRMED
from proofdesk.runbooks import fixes, outbound_evidence, probes, unsent_messages
from proofdesk.runbooks.checks import database, freshness, outbound_fixes, scheduler, workers
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn
from proofdesk.runbooks.unsent_messages import UnsentMessage

_JOB = catalog.OUTBOUND.name
_LATE_AFTER = timedelta(minutes=10)
_UNCONFIGURED, _UNKNOWN, _REFUSED = "provider_not_configured", "delivery_unknown", "provider_error"


async def check_message(context: RunbookContext) -> Observation:
    """Check that the message exists."""
    messages = await context.load_once(unsent_messages.load_unsent_messages)
    if context.outbound_id is None:
        return ok(f"{len(messages)} unsent messages.")
    if not messages:
        return fail(f"The project has no message {context.outbound_id}.")
    message = messages[0].message
    retries = f"{message.retry_count} of {message.max_retries} retries used"
    next_attempt = unsent_messages.describe_next_attempt(messages[0])
    return ok(f"{message.status}; last_error {message.last_error or 'none'}; {retries}; {next_attempt}.")


async def check_kill_switch(context: RunbookContext) -> Observation:
    """Check that nobody stopped all sending."""
    active = await kill_switch.load_active(context.resources.db, context.required_scope)
    return ok("Sending is on.") if active is None else fail(f"{kill_switch.describe(active)}.")


async def check_last_look(context: RunbookContext) -> Observation:
    """Check that Chatwoot answers before a message to a contact is sent."""
    return await unsent_messages.check_none(
        context,
        lambda h: unsent_messages.is_pending(h) and (h.message.last_error or "").startswith(UNCONFIRMED),
        "Chatwoot could not be asked whether the contact has replied",
        "No message waits for an answer of Chatwoot.",
    )


async def check_worker(context: RunbookContext) -> Observation:
    """Check that a worker is alive if a message waits for one."""
    if not await _any(context, lambda h: h.message.status in ("approved", "sending", "failed")):
        return ok("No message waits for a worker.")
    return await workers.check_alive(context)


async def check_schedule(context: RunbookContext) -> Observation:
    """Check that sending is not paused. A pause by a person is a warning, unless one message is checked."""
    paused = [
        s for s in await context.load_once(freshness.load_schedules) if s.job_type == _JOB and s.status == "paused"
    ]
    if not paused:
        return ok(f"{_JOB} is not paused.")
    observed = f"{_JOB} is paused: {await scheduler.describe_pause(context, paused[0])}"
    is_decision = paused[0].paused_cause is None and context.outbound_id is None
    return warn(observed) if is_decision else fail(observed, observed)


async def check_opt_out(context: RunbookContext) -> Observation:
    """Check that no recipient opted out."""
    return await unsent_messages.check_none(
        context,
        lambda h: h.message.status == "blocked_opt_out" or (unsent_messages.is_pending(h) and h.gate == OPTED_OUT),
        "opted_out is true",
        "No recipient opted out.",
        expected_in_general=True,
    )


async def check_reply(context: RunbookContext) -> Observation:
    """Check that no recipient wrote after the approval."""
    return await unsent_messages.check_none(
        context,
        lambda h: h.message.last_error == REPLIED or (unsent_messages.is_pending(h) and h.gate == REPLIED),
        "the recipient replied after the approval and stop_on_reply is true",
        "No recipient replied after the approval.",
        expected_in_general=True,
    )


async def check_approval(context: RunbookContext) -> Observation:
    """Check that no message waits for approval."""
    return await unsent_messages.check_none(
        context,
        lambda h: h.message.status == "draft",
        "draft without approval",
        "No message waits for approval.",
        expected_in_general=True,
    )


async def check_channel_configured(context: RunbookContext) -> Observation:
    """Check that the channels of pending messages are configured."""
    usable = context.resources.outbound
    channels = {
        h.message.channel
        for h in await context.load_once(unsent_messages.load_unsent_messages)
        if unsent_messages.is_pending(h)
    }
    missing = sorted(channel for channel in channels if channel not in usable)
    if missing:
        variables = " and ".join(REQUIRED_SETTINGS[channel] for channel in missing)
        return fail(f"Not configured: {', '.join(missing)}.", None, fixes.set_variable(variables, ""))
    waiting = await _named(context, lambda h: h.message.last_error == _UNCONFIGURED and unsent_messages.is_pending(h))
    if waiting:
        return warn(f"The channel is configured now. These messages still wait: {waiting}.", None, fixes.PROCESS)
    return ok(f"Configured: {', '.join(sorted(usable)) or 'none, and no message needs one'}.")


async def check_channel_reachable(context: RunbookContext) -> Observation:
    """Check that the services behind the channels respond and accept the credentials."""
    channels = {
        h.message.channel
        for h in await context.load_once(unsent_messages.load_unsent_messages)
        if unsent_messages.is_pending(h)
    } & set(context.resources.outbound)
    if not channels:
        return skip("No message waits for a channel.")
    errors = [error for channel in sorted(channels) if (error := await probes.probe_channel(context, channel))]
    fix = outbound_fixes.CHATWOOT if channels == {"chatwoot"} else None  # another runbook explains it
    return fail(" ".join(errors), None, fix) if errors else ok(f"Reachable: {', '.join(sorted(channels))}.")


async def check_unknown_outcomes(context: RunbookContext) -> Observation:
    """Check that the outcome of every attempt is known."""

    def lost(h: UnsentMessage) -> bool:
        last = h.attempts[-1] if h.attempts else None
        return last is not None and last.outcome is None and context.now() - last.started_at > _LATE_AFTER

    def unknown(h: UnsentMessage) -> bool:
        return (h.message.status == "failed" and h.message.last_error == _UNKNOWN) or lost(h)

    observation = await unsent_messages.check_none(
        context, unknown, "the outcome of the last attempt is unknown", "The outcome of every attempt is known."
    )
    return replace(observation, fix=outbound_fixes.SETTLE) if await _any(context, lost) else observation


async def check_retries(context: RunbookContext) -> Observation:
    """Check that no message failed permanently."""

    def is_over(h: UnsentMessage) -> bool:
        return h.message.status == "failed" and h.message.next_attempt_at is None and h.message.last_error != _UNKNOWN

    return await unsent_messages.check_none(context, is_over, "failed permanently", "No message failed permanently.")


async def check_provider(context: RunbookContext) -> Observation:
    """Check that no message waits for a retry."""
    return await unsent_messages.check_none(
        context,
        lambda h: h.message.status == "failed" and (h.message.last_error or "").startswith(_REFUSED),
        "the provider rejected it",
        "No message waits for a retry.",
    )


async def check_frequency_cap(context: RunbookContext) -> Observation:
    """Check that no recipient's frequency cap is reached."""
    return await unsent_messages.check_none(
        context,
        lambda h: unsent_messages.is_pending(h) and CAP_REACHED in (h.gate, h.message.last_error),
        "frequency_cap is reached",
        "No recipient's frequency cap is reached.",
        expected_in_general=True,
    )


async def check_scheduled_time(context: RunbookContext) -> Observation:
    """Check whether messages are scheduled for later."""
    return await unsent_messages.check_none(
        context,
        lambda h: (
            unsent_messages.is_pending(h)
            and h.message.scheduled_at is not None
            and h.message.scheduled_at > context.now()
        ),
        "scheduled for later",
        "No message is scheduled for later.",
        expected_in_general=True,
    )


async def check_due_messages(context: RunbookContext) -> Observation:
    """Check that due messages are sent in time."""

    def late(h: UnsentMessage) -> bool:
        due = h.message.next_attempt_at
        return (
            unsent_messages.is_pending(h) and h.gate is None and due is not None and context.now() - due > _LATE_AFTER
        )

    return await unsent_messages.check_none(context, late, "due but not sent", "No due message is late.")


async def _any(context: RunbookContext, condition: Callable[[UnsentMessage], bool]) -> bool:
    return any(map(condition, await context.load_once(unsent_messages.load_unsent_messages)))


async def _named(context: RunbookContext, condition: Callable[[UnsentMessage], bool]) -> str:
    return "; ".join(
        unsent_messages.describe(h)
        for h in _first(h for h in await context.load_once(unsent_messages.load_unsent_messages) if condition(h))
    )


def _first(messages: Iterable[UnsentMessage]) -> list[UnsentMessage]:
    return list(messages)[: unsent_messages.MAX_NAMED]


RUNBOOK = Runbook(
    slug="outbound-blocked",
    title="Outbound delivery blocked or failing",
    symptom="A message stays `draft`, `approved`, `failed` or `blocked_opt_out` and does not become `sent`.",
    impact="Contacts do not get messages that are written.",
    checks=(
        database.USABLE,
        Check("message", "Message", "The message exists.", "The project has no message with this id.",
              check_message,
              Fix("Select the project, and copy the id from the list of messages.", "GET", "/outbound"),
              alerts="never"),
        Check("kill-switch", "Kill switch", "Nobody stopped all sending.", "A person stopped all sending.",
              check_kill_switch, outbound_fixes.ALLOW, alerts="never"),
        Check("opted-out", "Opt-out", "The recipient did not opt out (`opted_out`).",
              "The recipient opted out, so no message is sent to them.", check_opt_out,
              outbound_fixes.OPT_IN, alerts="never"),
        Check("replied", "Reply", "The recipient did not reply after the approval (`stop_on_reply`).",
              "The recipient replied after the approval, so the message was stopped: it may no longer fit.",
              check_reply, outbound_fixes.AFRESH, alerts="never"),
        Check("last-look", "Last look", "Chatwoot answers what contacts wrote until now (`reply_unconfirmed`).",
              "Chatwoot could not be asked whether the contact has replied, so the message waits and is retried.",
              check_last_look, outbound_fixes.CHATWOOT, alerts="symptom"),
        Check("approval", "Approval", "The message is approved in its current form.",
              "The message is not approved, or it was changed after the approval.", check_approval,
              Fix("Read and approve the message.", "POST", "/outbound/{id}/approve", {}), alerts="never"),
        Check("configured", "Channel configured", "The channel is configured.",
              "The channel is not configured (`provider_not_configured`).", check_channel_configured,
              fixes.set_variable("the variables of the channel", "(SMTP_URL and SMTP_FROM for email)")),
        Check("reachable", "Channel connection", "The service behind the channel responds and accepts the credentials.",
              "The service behind the channel cannot be reached or rejects the credentials.", check_channel_reachable,
              Fix("Fix the connection or the credentials, then send due messages.", "POST", "/outbound/process", {})),
        Check("unknown", "Attempts", "Every attempt in `outbound_attempts` has a known outcome.",
              "It is unknown whether the last attempt was delivered (`delivery_unknown`), so it is not retried.",
              check_unknown_outcomes, Fix("Check at the recipient's side, then retry or cancel the message.", "POST",
                                     "/outbound/{id}/retry", {})),
        Check("retries", "Retries", "`retry_count` is below `max_retries`.",
              "The message failed permanently: its retries are used up, or the provider rejects it for good.",
              check_retries, outbound_fixes.RETRY, alerts="never"),
        Check("provider", "Provider", "The provider accepts the message.",
              "The provider rejected the message (`provider_error`). It will be retried.", check_provider,
              outbound_fixes.RETRY, alerts="never"),
        Check("cap", "Frequency cap", "The recipient got fewer messages than `frequency_cap` in the window.",
              "The recipient's frequency cap is reached (`frequency_cap_reached`).", check_frequency_cap,
              outbound_fixes.CAP, alerts="never"),
        Check("scheduled", "Scheduled time", "`scheduled_at` has passed.", "The message is scheduled for later.",
              check_scheduled_time, outbound_fixes.UNSCHEDULE, alerts="never"),
        Check("paused", "Schedule", f"`{_JOB}` is `active` in `scheduled_jobs`.", "Sending is paused.",
              check_schedule, Fix("Resume the schedule.", "PATCH", f"/jobs/scheduler/{_JOB}", {"status": "active"}),
              alerts="never"),
        Check("worker", "Worker", "A worker is alive.", "No worker is alive, so no message is sent automatically.",
              check_worker, fixes.WORKER, alerts="symptom"),
        Check("late", "Due messages", "Due messages are sent.", "Messages are due, but no worker sends them.",
              check_due_messages, fixes.PROCESS, alerts="symptom"),
        workers.SETTINGS,
        freshness.OUTBOUND,
    ),
    evidence=(
        EvidenceSection("Messages with attempts and policy", outbound_evidence.collect_messages),
        EvidenceSection("Related audit events (`outbound.*`)", outbound_evidence.collect_events),
    ),
    variables=("CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN", "SMTP_URL", "SMTP_FROM", "TELEGRAM_BOT_TOKEN"),
)  # fmt: skip
