"""Behind nginx: one that passes everything on, one that takes `/api` away, and some that break the login."""

from pathlib import Path

import httpx2
import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.http.proxies.nginx import Proxy, browser
from tests.support.server import PASSWORD, Person

HTML = {"accept": "text/html"}
SITE = {"host": "proofdesk.example.com"}


def _address_of_failures(conn: psycopg.Connection) -> list[str]:
    rows = conn.execute("SELECT subject FROM rate_limits WHERE purpose = 'login.address' ORDER BY subject")
    return [subject for (subject,) in rows]


async def _fail_to_sign_in(client: httpx2.AsyncClient, path: str = "/auth/login", **headers: str) -> None:
    body = {"username": "nobody", "password": "wrong"}
    answer = await client.post(path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == 401, answer.text


async def test_users_sign_in_and_work_over_https(
    tls: str, certificate: tuple[Path, Path], amina: Person, owner_conn: psycopg.Connection
):
    async with browser(tls, certificate) as client:
        sent = await client.get("/search?q=refund", headers=HTML | SITE)
        assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=/search%3Fq%3Drefund")
        fields = {"username": "amina", "password": PASSWORD, "next": "/search?q=refund"}
        done = await client.post("/login", data=fields, headers=SITE)
        assert (done.status_code, done.headers["location"]) == (303, "/search?q=refund")
        cookies = done.headers.get_list("set-cookie")
        assert len(cookies) == 2 and all("; Secure" in cookie for cookie in cookies)
        assert done.headers["strict-transport-security"] == "max-age=31536000"
        page = await client.get("/search?q=refund", headers=HTML | SITE)
        assert page.status_code == 200 and "amina" in page.text
        token = {"x-csrf-token": client.cookies["csrf_token"]}
        for prefix in ("", "/v1", "/api", "/api/v1"):
            made = await client.post(f"{prefix}/projects", json={"name": "Made"}, headers=token | SITE)
            assert made.status_code == 200, made.text
        out = await client.post("/auth/logout", headers=SITE)
        assert all("; Secure" in cookie for cookie in out.headers.get_list("set-cookie"))
        assert (await client.get("/search", headers=HTML | SITE)).status_code == 303


async def test_the_proxy_is_trusted_and_its_client_is_not(
    tls: str, certificate: tuple[Path, Path], db: Database, owner_conn: psycopg.Connection
):
    async with browser(tls, certificate, "127.0.0.9") as client:
        await _fail_to_sign_in(client, **SITE, x_forwarded_for="203.0.113.66")
    async with browser(tls, certificate, "127.0.0.10") as client:
        await _fail_to_sign_in(client, **SITE, x_forwarded_proto="http")
    assert _address_of_failures(owner_conn) == ["127.0.0.10", "127.0.0.9"]


async def test_forwarded_headers_of_a_direct_client_are_ignored(
    behind: str, db: Database, owner_conn: psycopg.Connection
):
    async with browser(behind, address="127.0.0.9") as client:
        forged = {"x-forwarded-for": "203.0.113.66", "x-forwarded-proto": "https"}
        await _fail_to_sign_in(client, **{k.replace("-", "_"): v for k, v in forged.items()})
        assert "strict-transport-security" not in (await client.get("/health", headers=forged)).headers
    assert _address_of_failures(owner_conn) == ["127.0.0.9"]


async def test_cookies_are_not_secure_over_http(behind: str, amina: Person):
    async with browser(behind) as client:
        done = await client.post("/auth/login", json={"username": "amina", "password": PASSWORD})
        assert not any("Secure" in cookie for cookie in done.headers.get_list("set-cookie"))


async def test_the_body_limit_is_that_of_proofdesk(tls: str, certificate: tuple[Path, Path], amina: Person):
    async with browser(tls, certificate) as client:
        answer = await client.post("/auth/login", content=b" " * 300_000, headers=SITE)
        assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


async def test_clients_work_when_the_proxy_strips_api(stripping: str, amina: Person, owner_conn: psycopg.Connection):
    async with browser(stripping) as client:
        site = {"host": "desk.example.com"}
        signed = await client.post("/api/auth/login", json={"username": "amina", "password": PASSWORD}, headers=site)
        assert signed.status_code == 200
        token = {"x-csrf-token": client.cookies["csrf_token"]}
        for path in ("/api/projects", "/api/v1/projects"):
            made = await client.post(path, json={"name": "Made"}, headers=token | site)
            assert made.status_code == 200 and made.json()["ok"]
        assert len((await client.get("/api/projects", headers=site)).json()["projects"]) == 2
        missing = await client.get("/api/nothing", headers=site)
        assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
        await _fail_to_sign_in(client, "/api/auth/login", **site)
    assert "127.0.0.9" in _address_of_failures(owner_conn)


@pytest.mark.parametrize(
    "directive", ["proxy_hide_header Set-Cookie;", 'proxy_set_header Cookie "";'], ids=["on the way out", "and in"]
)
async def test_without_cookies_sign_in_returns_to_the_login_page(broken: Proxy, amina: Person, directive: str):
    with broken(directive) as url:
        async with browser(url) as client:
            done = await client.post("/login", data={"username": "amina", "password": PASSWORD, "next": "/search"})
            assert (done.status_code, done.headers["location"]) == (303, "/search")
            again = await client.get("/search", headers=HTML)
            assert (again.status_code, again.headers["location"]) == (303, "/login?next=/search")
            assert (await client.get("/auth/me")).json()["authenticated"] is False
            refused = await client.post("/projects", json={"name": "Made"})
            assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")


async def test_without_the_token_reading_works_and_changing_does_not(broken: Proxy, amina: Person):
    with broken('proxy_set_header X-CSRF-Token "";') as url:
        async with browser(url) as client:
            await client.post("/auth/login", json={"username": "amina", "password": PASSWORD})
            assert (await client.get("/auth/me")).json()["authenticated"] is True
            token = {"x-csrf-token": client.cookies["csrf_token"]}
            refused = await client.post("/projects", json={"name": "Made"}, headers=token)
            assert (refused.status_code, refused.json()["error"]) == (403, "csrf_invalid")
            form = await client.post("/projects", data={"name": "Made", "csrf_token": token["x-csrf-token"]})
            assert form.status_code == 303  # a page's form carries the token in a field, which no proxy takes away
