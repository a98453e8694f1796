"""Faults that cause an unsent message, each with the check that names it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from tests.runbooks.installation import Installation

SLUG = "outbound-blocked"


def change_message(**values: Any) -> Callable[[Installation], None]:
    """Return a fault: the message has other values."""

    def plant(installation: Installation) -> None:
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        installation.sql(f"UPDATE outbound_messages SET {sets}")

    return plant


def fail_message(error: str, **values: Any) -> Callable[[Installation], None]:
    def plant(installation: Installation) -> None:
        change_message(status="'sending'", next_attempt_at="NULL")(installation)
        change_message(status="'failed'", last_error=f"'{error}'", **values)(installation)

    return plant


def _attempt(installation: Installation) -> None:
    installation.sql(
        "INSERT INTO outbound_attempts (project_id, account_scope_id, outbound_id, number, started_at, lease_until)"
        " SELECT project_id, account_scope_id, id, 1, now() - interval '1 hour', now() - interval '50 minutes'"
        " FROM outbound_messages"
    )


LATER = "now() + interval '5 minutes'"
FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no such message": ("message", lambda i: setattr(i, "outbound_id", uuid4())),
    "blocked": (
        "opted-out",
        change_message(status="'blocked_opt_out'", last_error="'recipient_opted_out'", next_attempt_at="NULL"),
    ),
    "stopped by a reply": (
        "replied",
        change_message(
            status="'cancelled'",
            cancelled_by="'system'",
            cancelled_at="now()",
            last_error="'stop_on_reply'",
            next_attempt_at="NULL",
        ),
    ),
    "a draft": ("approval", change_message(payload="'{}'")),
    "a channel without settings": ("configured", lambda i: i.set(smtp_url=None)),
    "a relay that is gone": ("reachable", lambda i: i.set(smtp_url=SecretStr("smtp://127.0.0.1:9?tls=none"))),
    "an unknown delivery": ("unknown", fail_message("delivery_unknown")),
    "a lost attempt": (
        "unknown",
        lambda i: (change_message(status="'sending'", next_attempt_at="NULL")(i), _attempt(i)),
    ),
    "retries used up": ("retries", fail_message("provider_error: 550 no such user", retry_count="5")),
    "a provider that refuses": (
        "provider",
        fail_message("provider_error: 451 later", retry_count="1", next_attempt_at=LATER),
    ),
    "a cap that was noted": (
        "cap",
        change_message(last_error="'frequency_cap_reached'", next_attempt_at="now() + interval '20 hours'"),
    ),
    "scheduled for later": (
        "scheduled",
        change_message(scheduled_at="now() + interval '1 day'", next_attempt_at="now() + interval '1 day'"),
    ),
    "no worker": ("worker", lambda i: i.sql("DELETE FROM procrastinate_workers")),
    "due for long": ("late", change_message(next_attempt_at="now() - interval '1 hour'")),
}
