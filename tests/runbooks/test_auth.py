"""Each way in which people are sent back to the login is planted, and named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.runbooks.house import ASKING, House, at

SLUG = "auth-loop"


def _ask(**values: Any) -> Callable[[House], Any]:
    return lambda house: setattr(house, "asking", replace(ASKING, **values))


HTTP = {"scheme": "http", "origin": "http://desk.example.com"}
TLS_PROXY = {"scheme": "http", "forwarded": {"x-forwarded-proto": "https"}}

FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "Secure cookies on http": ("secure-cookies", _ask(**HTTP, cookies=frozenset(), session=None)),
    "a proxy that is not trusted": ("proxy", lambda h: (h.set(public_url=None), _ask(**TLS_PROXY)(h))),
    "another origin": ("origin", _ask(origin="https://ui.example.org", cookies=frozenset(), session=None)),
    "this clock is wrong": ("clock", lambda h: h.clock.append(at(10))),
    "the browser's clock is wrong": ("clock", lambda h: _ask(sent_at=at(-300))(h)),
    "no cookie": ("cookie", _ask(cookies=frozenset({"other"}), session=None)),
    "an expired session": ("session", _ask(session="ended")),
    "a session of another installation": ("session", _ask(session="unknown")),
    "no token header": ("csrf", _ask(csrf="missing")),
    "an old token": ("csrf", _ask(csrf="wrong")),
    "no token cookie": ("csrf", _ask(cookies=frozenset({"sid"}))),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(house: House, fault: str):
    cause, plant = FAULTS[fault]
    plant(house)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_a_stripped_cookie_behind_a_proxy_points_at_the_proxy(house: House):
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    _ask(cookies=frozenset(), session=None, forwarded=forwarded, believed=True)(house)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == "cookie"
    assert "proxy" in next(c.observed for c in found.checks if c.id == "cookie")


@pytest.mark.parametrize("origin", ["https://ui.example.org", "https://desk.example.com", None])
async def test_origins_that_may_ask_are_no_fault(house: House, origin: str | None):
    house.set(cors_origin="https://ui.example.org")
    _ask(origin=origin)(house)
    assert (await house.look(SLUG)).verdict == "ok"


async def test_without_a_request_settings_and_clock_are_looked_at(house: House):
    house.asking = None
    found = await house.look(SLUG)
    skipped = {c.id for c in found.checks if c.status == "skip"}
    assert (found.verdict, skipped) == ("ok", {"proxy", "cookie", "session", "csrf"})
    house.set(cookie_secure=True, public_url="http://desk.example.com")
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == "secure-cookies"


async def test_used_up_logins_are_told(house: House):
    house.sql("INSERT INTO rate_limits (purpose, subject, hits) VALUES ('login.address', '192.0.2.1', 11)")
    found = await house.look(SLUG)
    assert [(c.id, c.status) for c in found.checks if c.status != "ok"] == [("login-limit", "warn")]
