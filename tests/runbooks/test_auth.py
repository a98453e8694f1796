"""The runbook names each cause of a login loop."""

import pytest

from tests.runbooks.faults_auth import SLUG, request_with
from tests.runbooks.installation import Installation


async def test_a_missing_cookie_behind_a_proxy_names_the_proxy(installation: Installation):
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}
    request_with(cookies=frozenset(), session_state=None, forwarded=forwarded, proxy_trusted=True)(installation)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "cookie"
    assert "proxy" in next(c.observed for c in result.checks if c.id == "cookie")


@pytest.mark.parametrize("origin", ["https://ui.example.org", "https://desk.example.com", None])
async def test_allowed_origins_are_no_finding(installation: Installation, origin: str | None):
    installation.set(cors_origin="https://ui.example.org")
    request_with(origin=origin)(installation)
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
