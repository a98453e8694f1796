"""Who is not let in finds out why on the login page itself."""

import httpx2

from tests.support.browser import Visit
from tests.support.pages import HTML, PART
from tests.support.server import ORIGIN, Cast


async def check(client: httpx2.AsyncClient, **headers: str) -> str:
    answer = await client.post("/auth/check", data={"next": "/jobs"}, headers=HTML | headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_browser_that_keeps_cookies_is_told_that_it_can_sign_in(anyone: httpx2.AsyncClient):
    login = await anyone.get("/login?next=/jobs", headers=HTML)
    assert "Does the sign-in page keep coming back?" in login.text and 'action="/auth/check"' in login.text
    probe = login.headers["set-cookie"]
    assert probe.startswith("sid_probe=1;") and "HttpOnly" in probe and "samesite=lax" in probe.lower()
    told = await check(anyone)
    assert "This browser can sign in here" in told and "Check again" in told
    assert 'name="next" value="/jobs"' in told and 'name="password"' in told, "the way on is kept"
    part = (await anyone.post("/auth/check", data={"next": "/"}, headers=PART)).text
    assert "<html" not in part and 'id="browser-check"' in part


async def test_one_that_does_not_is_told_the_cause_and_what_to_do(anyone: httpx2.AsyncClient):
    told = await check(anyone)
    assert "The session cookie is missing" in told
    assert "<b>Fix:</b> Sign in. If that fails again, let the proxy pass Cookie and Set-Cookie." in told


async def test_what_is_wrong_with_this_very_request_is_named(anyone: httpx2.AsyncClient, cast: Cast):
    await anyone.get("/login", headers=HTML)
    assert "CORS_ORIGIN does not contain" in await check(anyone, origin="https://evil.example.org")
    assert "This browser can sign in here" in await check(anyone, origin=ORIGIN)
    assert "is not trusted" in await check(anyone, **{"x-forwarded-proto": "https"})
    stale = await check(anyone, cookie="sid=nonsense; sid_probe=1")
    assert "The session has ended" in stale and "<b>Fix:</b> Sign in again." in stale
    assert "evidence" not in stale and cast.member.username not in stale


async def test_it_is_answered_in_place_in_a_browser(server: str, cast: Cast, visit: Visit):
    page = await visit(server)
    await page.goto(f"{server}/login")
    await page.get_by_label("Username").fill("ada")
    await page.get_by_role("button", name="Check this browser").click()
    await page.get_by_text("This browser can sign in here").wait_for()
    assert page.url == f"{server}/login" and await page.get_by_label("Username").first.input_value() == "ada"
