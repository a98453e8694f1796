"""Each way in which signup does not work is planted, and named."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from proofdesk.accounts import signup
from proofdesk.accounts.bot import TelegramError
from proofdesk.accounts.signup import SignupApplication
from tests.runbooks.house import House

SLUG = "signup-disabled"
UNBOUND = "DELETE FROM telegram_owner"


def _hook(**values: Any) -> Callable[[House], None]:
    def plant(house: House) -> None:
        house.sql(UNBOUND)
        for name, value in values.items():
            setattr(house.telegram.hook, name, value)

    return plant


FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "no token": ("token", lambda h: h.set(telegram_bot_token=None)),
    "nobody there": ("reachable", lambda h: h.set(telegram_api_base_url="http://127.0.0.1:9")),
    "out of order": ("reachable", lambda h: h.telegram.fail("bad_gateway")),
    "throttled": ("reachable", lambda h: h.telegram.fail("too_many_requests")),
    "a wrong token": ("bot", lambda h: h.set(telegram_bot_token=SecretStr("1:wrong"))),
    "no webhook": ("webhook", _hook(url="")),
    "a webhook of another house": ("webhook", _hook(url="https://old.example.com/auth/telegram/webhook")),
    "another secret": ("secret", _hook(last_error="Wrong response from the webhook: 401 Unauthorized")),
    "a secret that Telegram does not take": (
        "secret",
        lambda h: h.set(telegram_webhook_secret=SecretStr("not for Telegram!")),
    ),
    "calls that do not arrive": ("deliveries", _hook(last_error="Connection refused")),
    "no owner": ("owner", lambda h: h.sql(UNBOUND)),
    "another owner is wanted": ("owner", lambda h: h.set(telegram_owner_id=99)),
    "too many signups": (
        "limits",
        lambda h: h.sql("INSERT INTO rate_limits (purpose, subject, hits) VALUES ('signup.start.all', 'all', 41)"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(house: House, fault: str):
    cause, plant = FAULTS[fault]
    plant(house)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_a_pin_that_could_not_be_sent(house: House):
    house.telegram.person(4711).blocks = True
    async with house.case() as case:
        with pytest.raises(TelegramError):
            wish = SignupApplication("newcomer", "a long enough password", "192.0.2.9")
            await signup.start(case.resources.db, case.settings, case.resources.bot, wish)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == "pins", found


async def test_a_webhook_matters_less_once_the_owner_is_bound(house: House):
    house.telegram.hook.url = ""
    found = await house.look(SLUG)
    assert [(c.id, c.status) for c in found.checks if c.status != "ok"] == [("webhook", "warn")]
    assert found.fixes[0].command == "proofdesk telegram set-webhook"
