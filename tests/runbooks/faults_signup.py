"""Faults that cause a disabled signup, each with the check that names it."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from tests.runbooks.installation import Installation

SLUG = "signup-disabled"
UNBOUND = "DELETE FROM telegram_owner"


def _hook(**values: Any) -> Callable[[Installation], None]:
    def plant(installation: Installation) -> None:
        installation.sql(UNBOUND)
        for name, value in values.items():
            setattr(installation.telegram.hook, name, value)

    return plant


FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no token": ("token", lambda i: i.set(telegram_bot_token=None)),
    "nobody there": ("reachable", lambda i: i.set(telegram_api_base_url="http://127.0.0.1:9")),
    "out of order": ("reachable", lambda i: i.telegram.fail("bad_gateway")),
    "throttled": ("reachable", lambda i: i.telegram.fail("too_many_requests")),
    "a wrong token": ("bot", lambda i: i.set(telegram_bot_token=SecretStr("1:wrong"))),
    "no webhook": ("webhook", _hook(url="")),
    "a webhook of another installation": ("webhook", _hook(url="https://old.example.com/auth/telegram/webhook")),
    "another secret": ("secret", _hook(last_error="Wrong response from the webhook: 401 Unauthorized")),
    "a secret that Telegram does not take": (
        "secret",
        lambda i: i.set(telegram_webhook_secret=SecretStr("not for Telegram!")),
    ),
    "calls that do not arrive": ("deliveries", _hook(last_error="Connection refused")),
    "no owner": ("owner", lambda i: i.sql(UNBOUND)),
    "another owner is wanted": ("owner", lambda i: i.set(telegram_owner_id=99)),
    "another PIN secret": (
        "pin-secret",
        lambda i: i.sql(
            "INSERT INTO signup_requests (id, username, password_hash, pin_hash, address, expires_at, key_fingerprint)"
            " VALUES (gen_random_uuid(), 'eve', '', '', '', now() + interval '5 minutes', 'other')"
        ),
    ),
    "too many signups": (
        "limits",
        lambda i: i.sql("INSERT INTO rate_limits (purpose, subject, hits) VALUES ('signup.start.all', 'all', 41)"),
    ),
}
