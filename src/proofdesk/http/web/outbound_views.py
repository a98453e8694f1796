"""How outbound messages and policies look on a page: plain values for templates."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from proofdesk.audit.queries import AuditEvent
from proofdesk.http.web import view_models
from proofdesk.http.web.view_models import DisplayTime
from proofdesk.outbound.delivery.attempt_queries import DeliveryAttempt
from proofdesk.outbound.delivery.claims import CHANNEL_NOT_CONFIGURED
from proofdesk.outbound.delivery.outcomes import DELIVERY_UNKNOWN
from proofdesk.outbound.gates import CAP_REACHED, OPTED_OUT, REPLIED, SUPPRESSED, UNCONFIRMED, Policy
from proofdesk.outbound.kill_switch import STOPPED
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.policies import MAX_FREQUENCY_CAP, MAX_FREQUENCY_WINDOW_HOURS, MAX_REASON_LENGTH
from proofdesk.outbound.preflight import GateCheck
from proofdesk.outbound.recipient_queries import RecipientContact
from proofdesk.outbound.version_queries import MessageVersion

CHANNELS = {"chatwoot": "Chatwoot", "email": "E-mail", "telegram": "Telegram"}
STATES = {
    "draft": "Drafts",
    "approved": "Approved",
    "sending": "Sending",
    "sent": "Sent",
    "failed": "Failed",
    "blocked_opt_out": "Blocked",
    "cancelled": "Cancelled",
}
ERROR_TEXTS = {
    OPTED_OUT: "The recipient has opted out.",
    REPLIED: "The recipient replied after the approval.",
    CAP_REACHED: "The frequency cap of the recipient is reached.",
    CHANNEL_NOT_CONFIGURED: "The channel is not configured.",
    DELIVERY_UNKNOWN: "It is unknown whether the message was delivered. Check with the recipient before you retry.",
}
DETAILED_ERRORS = {
    STOPPED: "{}",
    SUPPRESSED: "The recipient is on the suppression list ({}).",
    UNCONFIRMED: "Cannot confirm that the recipient has not replied; retrying. {}",
}
"""Texts of codes of `last_error` that a detail follows."""
GATES = {
    "kill_switch": "Kill switch",
    "opt_out": "Opt-out",
    "suppression": "Suppression",
    "stop_on_reply": "Reply",
    "freshness": "Last look",
    "frequency_cap": "Frequency",
    "state": "State",
    "provider": "Channel",
}
ACTION_TITLES = {
    "outbound.draft": "Drafted",
    "outbound.edit": "Edited",
    "outbound.assign": "Approval requested",
    "outbound.approve": "Approved",
    "outbound.cancel": "Cancelled",
    "outbound.retry": "Retried",
    "outbound.redraft": "Returned to draft",
    "outbound.opt_out_block": "Blocked",
    "outbound.defer": "Deferred",
    "outbound.delivery": "Delivery reported",
}
EDITED_FIELDS = {
    "payload": "content",
    "recipient_ref": "recipient",
    "scheduled_at": "time",
    "evidence_refs": "evidence",
}
TONES = {
    "outbound.approve": "good",
    "outbound.opt_out_block": "bad",
    "outbound.defer": "warn",
    "outbound.cancel": "warn",
}
ATTEMPT_OUTCOMES = {"sent": ("accepted", "good"), "failed": ("failed", "bad"), "unknown": ("delivery unknown", "warn")}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class OutboundMessageRow:
    """A message in a list. `report` is what the channel behind Chatwoot reported after the message was sent."""

    url: str
    recipient: str
    address: str
    channel: str
    text: str
    status: str
    error: str
    report: str
    undelivered: bool
    next_attempt: DisplayTime | None
    drafted_by: str
    approved_by: str
    created: DisplayTime


@dataclass(frozen=True)
class PolicyView:
    """A policy. `id` distinguishes its form from others on the page."""

    id: str
    contact: str
    contact_url: str
    contact_id: str
    channel: str
    channel_id: str
    opted_out: bool
    stop_on_reply: bool
    cap: int
    hours: int
    sent: int
    last_message: DisplayTime | None
    last_reply: DisplayTime | None
    url: str
    max_cap: int = MAX_FREQUENCY_CAP
    max_hours: int = MAX_FREQUENCY_WINDOW_HOURS
    max_reason_length: int = MAX_REASON_LENGTH


def message_row(message: OutboundMessage, contacts: dict[str, RecipientContact]) -> OutboundMessageRow:
    """Return a message as a row of a list."""
    contact = contacts.get(message.recipient_ref)
    next_attempt = message.next_attempt_at if message.status in ("approved", "failed") else None
    return OutboundMessageRow(
        url=message_url(message),
        recipient=contact.name or format_recipient(message.recipient_ref)
        if contact
        else format_recipient(message.recipient_ref),
        address=format_recipient(message.recipient_ref) if contact and contact.name else "",
        channel=CHANNELS[message.channel],
        text=_beginning(message.payload.get("subject") or message.payload["text"]),
        status=message.status,
        error=explain_error(message.last_error) if message.status != "sent" else "",
        report=message.delivery.sentence if message.delivery else "",
        undelivered=message.delivery is not None and message.delivery.status == "failed",
        next_attempt=view_models.display_time(next_attempt) if next_attempt else None,
        drafted_by=message.created_by,
        approved_by=message.approved_by or "",
        created=view_models.display_time(message.created_at),
    )


def policy_view(policy: Policy, contacts: dict[str, RecipientContact]) -> PolicyView:
    """Return a policy with the values of its form."""
    ref = policy.contact_global_id
    contact = contacts.get(ref)
    return PolicyView(
        id=str(policy.id),
        contact=contact.name or format_recipient(ref) if contact else format_recipient(ref),
        contact_url=view_models.contact_url(policy.project_id, contact.account_id, contact.contact_id)
        if contact
        else "",
        contact_id=ref,
        channel=CHANNELS[policy.channel],
        channel_id=policy.channel,
        opted_out=policy.opted_out,
        stop_on_reply=policy.stop_on_reply,
        cap=policy.frequency_cap,
        hours=policy.frequency_window_hours,
        sent=policy.sent_in_window,
        last_message=view_models.display_time(policy.last_outbound_at) if policy.last_outbound_at else None,
        last_reply=view_models.display_time(policy.last_inbound_at) if policy.last_inbound_at else None,
        url=f"/outbound/policies?contact_global_id={quote(ref, safe='')}&channel={policy.channel}",
    )


def message_url(message: OutboundMessage) -> str:
    """Return the address of a message's page."""
    return f"/outbound/{message.id}"


def format_recipient(recipient: str) -> str:
    """Return a short form of a recipient: the number in Chatwoot, or the address."""
    kind, number = recipient.partition(":")[0], recipient.rpartition(":")[2]
    return {"cwc": f"Contact #{number}", "cw": f"Conversation #{number}"}.get(kind, recipient)


def explain_error(last_error: str | None) -> str:
    """Return the cause of a failure as a sentence."""
    if not last_error:
        return ""
    code, _, detail = last_error.partition(": ")
    return ERROR_TEXTS.get(last_error) or DETAILED_ERRORS.get(code, "{}").format(detail or code)


def gate_lights(gates: Iterable[GateCheck], message: OutboundMessage) -> list[dict[str, Any]]:
    """Return the gates as lights. A gate that only needs time or an approval is a warning."""
    waiting = {"frequency_cap", "freshness"} | ({"state"} if message.status in ("draft", "approved") else set())
    return [
        {
            "title": GATES[g.gate],
            "status": "pass" if g.passes else "warn" if g.gate in waiting else "fail",
            "detail": format_times(g.detail),
        }
        for g in gates
    ]


def format_times(text: str) -> Markup:
    """Return a sentence with its times as `<time>` elements, which the browser shows in the reader's time zone."""
    return Markup(_TIME.sub(lambda at: f'<time datetime="{at[0]}">{at[0]}</time>', str(escape(text))))  # noqa: S704


def message_history(history: Iterable[AuditEvent], attempts: Iterable[DeliveryAttempt]) -> list[dict[str, Any]]:
    """Return the history of a message in order, with attempts instead of the events of their results."""
    events = [_event(e) for e in history if e.action != "outbound.send"]
    return [m for _, m in sorted([*events, *map(_attempt, attempts)], key=lambda pair: pair[0])]


def _event(event: AuditEvent) -> tuple[Any, dict[str, Any]]:
    payload = event.payload
    reason = (
        explain_error(payload.get("reason")) or explain_error(payload.get("after")) or str(payload.get("error") or "")
    )
    if event.action == "outbound.edit":
        reason = explain_edit(payload)
    until = payload.get("until")
    return event.created_at, {
        "title": f"{ACTION_TITLES.get(event.action, event.action)} by {event.actor_username}"
        if event.action != "outbound.delivery"
        else f"{ACTION_TITLES[event.action]}: {event.status}",
        "detail": f"{reason} Until {until[:16].replace('T', ' ')} UTC." if until else reason,
        "tone": "bad" if event.status == "failed" else TONES.get(event.action, ""),
        "at": view_models.display_time(event.created_at),
    }


def explain_edit(payload: dict[str, Any]) -> str:
    """Return what an edit changed, as a sentence."""
    changed = [EDITED_FIELDS[name] for name in payload["changed"] if name in EDITED_FIELDS]
    effect = " It is a draft again." if payload.get("from") != "draft" else ""
    return f"Version {payload['version']}: {', '.join(changed)} changed.{effect}"


def version_view(version: MessageVersion) -> dict[str, Any]:
    """Return an earlier version of a message."""
    return {
        "number": version.number,
        "by": version.replaced_by,
        "until": view_models.display_time(version.replaced_at),
        "recipient": format_recipient(version.recipient_ref),
        "scheduled": view_models.display_time(version.scheduled_at) if version.scheduled_at else None,
        "evidence": len(version.evidence_refs),
        "subject": version.payload.get("subject", ""),
        "text": version.payload["text"],
    }


def _attempt(attempt: DeliveryAttempt) -> tuple[Any, dict[str, Any]]:
    outcome, tone = ATTEMPT_OUTCOMES.get(attempt.outcome or "", ("under way", "warn"))
    duration = f"{view_models.format_number(attempt.duration_ms)} ms" if attempt.duration_ms is not None else ""
    receipt = f"receipt {attempt.provider_message_id}" if attempt.provider_message_id else ""
    return attempt.started_at, {
        "title": f"Attempt {attempt.number}: {outcome}",
        "detail": " · ".join(filter(None, (explain_error(attempt.error), receipt, duration))),
        "tone": tone,
        "at": view_models.display_time(attempt.started_at),
    }


def message_evidence(refs: Iterable[dict[str, Any]], history: Iterable[AuditEvent]) -> list[dict[str, str]]:
    """Return the evidence of a message, with the snippets that the audit log keeps."""
    snippets = {r.get("ref"): str(r.get("snippet") or "") for event in history for r in event.evidence_refs}
    return [cited_evidence(str(r["source"]), str(r["ref"]), snippets.get(r["ref"], "")) for r in refs]


def cited_evidence(source: str, ref: str, text: str) -> dict[str, str]:
    """Return a piece of evidence with a link to it."""
    message = ref.partition("#")[0] if source in ("cw_messages", "rag_chunks") else ""
    url = f"/messages/{quote(message)}/thread" if message else ""
    if source == "cw_conversations":
        url = view_models.thread_url(ref)
    if source == "commitments":
        url = f"/commitments/{ref.partition(':')[2]}"
    return {"ref": ref, "snippet": text, "url": url}


def _beginning(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 90 else words[:89].rstrip() + "…"
