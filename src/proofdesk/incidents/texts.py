"""What notifications say: the cause, what to do, what was observed, and where to read more."""

from datetime import datetime
from typing import Any

from proofdesk.incidents.notification_queries import ClaimedNotification

_HEADINGS = {"opened": "Problem", "reminder": "Still open", "closed": "Solved"}
_MAX_CAUSE_LENGTH = 150
_MAX_TEXT_LENGTH = 3500
"""Below what Telegram accepts."""


def heading(notification: ClaimedNotification) -> str:
    """Return one line: what happened, where, and why."""
    kind = "Problem again" if notification.kind == "opened" and notification.reopened else _HEADINGS[notification.kind]
    where = f" in {notification.project}" if notification.project else ""
    cause = (
        notification.cause
        if len(notification.cause) <= _MAX_CAUSE_LENGTH
        else f"{notification.cause[:_MAX_CAUSE_LENGTH]}…"
    )
    return " ".join(f"{kind}{where}: {cause}".split())


def body(notification: ClaimedNotification, public_url: str | None) -> str:
    """Return the text of a notification, without its heading."""
    closed = notification.kind == "closed"
    lines = [notification.cause] if not closed else [f"The check {notification.title} passes again."]
    if not closed:
        lines += ["", f"What to do: {notification.fix['label']}"]
        lines += [f"  {notification.fix['command']}"] if notification.fix.get("command") else []
        lines += ["", "Observed:", *(f"- {each['title']}: {each['observed']}" for each in notification.evidence)]
    lines += ["", f"Since {_format(notification.opened_at)}."]
    if notification.closed_at is not None and closed:
        lines[-1] = f"From {_format(notification.opened_at)} to {_format(notification.closed_at)}."
    lines += [f"{name}: {url}" for name, url in links(notification, public_url).items()]
    text = "\n".join(lines)
    return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}…"


def event(notification: ClaimedNotification, public_url: str | None) -> dict[str, Any]:
    """Return the body of the outgoing webhook. `text` is what chat programs show."""
    names = ("runbook", "check", "title", "cause", "fix", "evidence")
    incident = {name: getattr(notification, name) for name in names}
    incident |= {"id": str(notification.incident_id), "project": notification.project or None}
    incident |= {"opened_at": _iso(notification.opened_at), "closed_at": _iso(notification.closed_at)}
    return {
        "id": str(notification.id),
        "event": f"incident.{notification.kind}",
        "text": f"{heading(notification)}\n{body(notification, public_url)}",
        "incident": incident | {"links": links(notification, public_url)},
    }


def links(notification: ClaimedNotification, public_url: str | None) -> dict[str, str]:
    """Return the pages about the incident; none while PUBLIC_URL is not set."""
    if public_url is None:
        return {}
    return {
        "Incidents": f"{public_url}/incidents",
        "Runbook": f"{public_url}/runbooks/{notification.runbook}",
    }


def _format(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _iso(time: datetime | None) -> str | None:
    return time and f"{time:%Y-%m-%dT%H:%M:%SZ}"
