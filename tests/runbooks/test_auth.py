"""The runbook names each cause of a login loop."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.runbooks.installation import REQUEST, Installation, at

SLUG = "auth-loop"


def _ask(**values: Any) -> Callable[[Installation], Any]:
    return lambda installation: setattr(installation, "request", replace(REQUEST, **values))


HTTP = {"scheme": "http", "origin": "http://desk.example.com"}
TLS_PROXY = {"scheme": "http", "forwarded": {"x-forwarded-proto": "https"}}

FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "Secure cookies on http": ("secure-cookies", _ask(**HTTP, cookies=frozenset(), session_state=None)),
    "a proxy that is not trusted": ("proxy", lambda i: (i.set(public_url=None), _ask(**TLS_PROXY)(i))),
    "another origin": ("origin", _ask(origin="https://ui.example.org", cookies=frozenset(), session_state=None)),
    "this clock is wrong": ("clock", lambda i: i.clock.append(at(10))),
    "the browser's clock is wrong": ("clock", lambda i: _ask(client_time=at(-300))(i)),
    "no cookie": ("cookie", _ask(cookies=frozenset({"other"}), session_state=None)),
    "an expired session": ("session", _ask(session_state="ended")),
    "a session of another installation": ("session", _ask(session_state="unknown")),
    "no token header": ("csrf", _ask(csrf_state="missing")),
    "an old token": ("csrf", _ask(csrf_state="wrong")),
    "no token cookie": ("csrf", _ask(cookies=frozenset({"sid"}))),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_runbook_names_the_cause(installation: Installation, fault: str):
    cause, plant = FAULTS[fault]
    plant(installation)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == cause, result
    assert result.verdict == "problem" and result.fixes


async def test_a_missing_cookie_behind_a_proxy_names_the_proxy(installation: Installation):
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    _ask(cookies=frozenset(), session_state=None, forwarded=forwarded, proxy_trusted=True)(installation)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "cookie"
    assert "proxy" in next(c.observed for c in result.checks if c.id == "cookie")


@pytest.mark.parametrize("origin", ["https://ui.example.org", "https://desk.example.com", None])
async def test_allowed_origins_are_no_finding(installation: Installation, origin: str | None):
    installation.set(cors_origin="https://ui.example.org")
    _ask(origin=origin)(installation)
    assert (await installation.run(SLUG)).verdict == "ok"


async def test_without_a_request_settings_and_clocks_are_checked(installation: Installation):
    installation.request = None
    result = await installation.run(SLUG)
    skipped = {c.id for c in result.checks if c.status == "skip"}
    assert result.verdict == "ok" and skipped >= {"proxy", "cookie", "session", "csrf"}
    installation.set(cookie_secure=True, public_url="http://desk.example.com")
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "secure-cookies"


async def test_a_reached_login_limit_is_a_warning(installation: Installation):
    installation.sql("INSERT INTO rate_limits (purpose, subject, hits) VALUES ('login.address', '192.0.2.1', 11)")
    result = await installation.run(SLUG)
    assert [(c.id, c.status) for c in result.checks if c.status in ("warn", "fail")] == [("login-limit", "warn")]
