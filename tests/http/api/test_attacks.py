"""Attacks on the HTTP server, sent as raw bytes where a client would correct them."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from proofdesk import settings
from proofdesk.accounts import accounts, sessions
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid
from proofdesk.http.web import layout
from tests.support.server import PASSWORD, Cast, Person

HTML = {"accept": "text/html"}


async def _raw(server: str, start: bytes, *headers: bytes, body: bytes = b"") -> bytes:
    """Return the response to a request of exactly these bytes."""
    if not any(header.lower().startswith(b"host:") for header in headers):
        headers = (b"Host: x", *headers)
    content = b"\r\n".join([start + b" HTTP/1.1", *headers, b"Connection: close", b"", body])
    return await asyncio.to_thread(_exchange, server, content)


def _exchange(server: str, content: bytes) -> bytes:
    place, answer = urlsplit(server), b""
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as connection:
        connection.sendall(content)
        while part := connection.recv(65536):
            answer += part
    return answer


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _cookie(person: Person) -> bytes:
    return b"Cookie: sid=" + person.token.encode()


async def test_a_planted_session_is_not_adopted(anyone: httpx2.AsyncClient, db: Database):
    await accounts.create(db, "amina", PASSWORD)
    body = {"username": "amina", "password": PASSWORD}
    for planted in ("chosen-by-somebody", "x" * 4000, ""):
        answer = await anyone.post("/auth/login", json=body, headers={"cookie": f"sid={planted}"})
        assert answer.status_code == 200 and answer.cookies["sid"] not in (planted, "")
        assert await sessions.load_session(db, planted) is None


async def test_signing_in_ends_the_presented_session(cast: Cast, db: Database):
    await accounts.create(db, "amina", PASSWORD)
    answer = await cast.stranger.client.post("/auth/login", json={"username": "amina", "password": PASSWORD})
    assert answer.cookies["sid"] != cast.stranger.token
    assert await sessions.load_session(db, cast.stranger.token) is None


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
async def test_a_form_of_another_site_changes_nothing(
    cast: Cast, server: str, owner_conn: psycopg.Connection, kind: str
):
    """A form can send these three content types to any site, with a text that is also JSON."""
    for path in ("/projects", "/v1/projects", "/jobs/embeddings/retry-failed", "/settings/password"):
        body = b'{"name": "Made by a form", "x": "="}'
        headers = (_cookie(cast.member), f"Content-Type: {kind}".encode(), f"Content-Length: {len(body)}".encode())
        answer = await _raw(server, f"POST {path}".encode(), *headers, b"Origin: https://evil.example", body=body)
        assert _status(answer) in (400, 403, 404) and b"access-control" not in answer.lower(), path
    assert owner_conn.execute("SELECT count(*) FROM projects WHERE name = 'Made by a form'").fetchone() == (0,)


async def test_another_host_of_the_same_domain_cannot_sign_in(anyone: httpx2.AsyncClient, db: Database):
    await accounts.create(db, "amina", PASSWORD)
    body = {"username": "amina", "password": PASSWORD}
    foreign = {"sec-fetch-site": "same-site", "origin": "https://blog.example.com"}
    assert (await anyone.post("/auth/login", json=body, headers=foreign)).status_code == 403
    assert (await anyone.post("/login", data=body, headers=foreign)).status_code == 403
    for own in ("same-origin", "none"):
        assert (await anyone.post("/auth/login", json=body, headers={"sec-fetch-site": own})).status_code == 200


async def test_methods_cannot_be_overridden(cast: Cast):
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        answer = await cast.member.client.get("/projects", headers={name: "POST"})
        assert answer.status_code == 200 and "projects" in answer.json()
        answer = await cast.member.client.post(f"/projects/{cast.member.project_id}/select", headers={name: "DELETE"})
        assert answer.status_code == 200
    assert (await cast.member.client.get("/projects?_method=POST")).status_code == 200
    form = {"_method": "DELETE", "csrf_token": cast.member.csrf, "name": "x"}
    assert (await cast.member.client.post("/projects", data=form)).status_code == 400


async def test_get_and_head_change_nothing(cast: Cast, owner_conn: psycopg.Connection):
    for method in ("GET", "HEAD"):
        for path in ("/auth/logout", "/logout", "/v1/jobs/chatwoot/sync", "/projects/select"):
            answer = await cast.member.client.request(method, path, headers=HTML)
            assert answer.status_code in (404, 405), (method, path)
    assert (await cast.member.client.get("/auth/me")).json()["authenticated"]


async def test_head_and_get_have_the_same_headers(cast: Cast):
    for path in ("/projects", "/search", "/static/proofdesk.css", "/nowhere"):
        get = await cast.member.client.get(path, headers=HTML)
        head = await cast.member.client.head(path, headers=HTML)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "cache-control", "content-security-policy"):
            assert head.headers[name] == get.headers[name], path


async def test_no_path_leaves_the_static_folder(server: str):
    for path in (
        b"../../asgi.py", b"..%2f..%2fasgi.py", b"%2e%2e/%2e%2e/asgi.py", b"/etc/passwd", b"..\\..\\asgi.py",
        b"%5c..%5c..%5casgi.py", b"vendor/../../shell.py", b"", b"vendor", b"proofdesk.css%00.txt", b"....//asgi.py",
    ):  # fmt: skip
        answer = await _raw(server, b"GET /static/" + path, b"Accept: text/html")
        assert _status(answer) in (400, 404), path
        assert b"import" not in answer and b"root:" not in answer, path


async def test_a_forged_host_is_not_repeated(cast: Cast, server: str):
    for host in (b"evil.example", b"[", b"evil.example/?x", b"a b", b"", b"x:99999", b"\xff\xfe", b'"<script>'):
        for path in (b"GET /search?q=1", b"GET /v1/projects", b"GET /", b"GET /conversations/x/thread"):
            for cookie in (b"X-Nothing: x", _cookie(cast.member)):
                answer = await _raw(server, path, b"Host: " + host, b"Accept: text/html", cookie)
                assert _status(answer) < 500, (path, host)
                assert b"evil.example" not in answer and b"<script>" not in answer, (path, host)


async def test_a_request_id_cannot_carry_a_header_or_markup(server: str):
    for request_id in (b"a\rSet-Cookie: x=y", b"a\x0bb", b"a\x00b", b"a\x7fb", b"\x1b[31m"):
        answer = await _raw(server, b"GET /health", b"X-Request-Id: " + request_id)
        assert b"set-cookie" not in answer.lower() and request_id not in answer
    page = await _raw(server, b"GET /nowhere", b"X-Request-Id: <script>alert(1)</script>", b"Accept: text/html")
    assert b"<script>alert" not in page.partition(b"\r\n\r\n")[2]


async def test_too_long_headers_are_refused(server: str):
    for headers in ([b"X-A: " + b"a" * 1_000_000], [b"X-%d: a" % number for number in range(5000)]):
        assert _status(await _raw(server, b"GET /health", *headers)) == 431
    assert _status(await _raw(server, b"GET /health?" + b"a" * 300_000)) == 414
    long = (b"Cookie: sid=" + b"\xff" * 50_000, b"X-CSRF-Token: " + b"\xff" * 50_000, b"Content-Length: 0")
    assert _status(await _raw(server, b"POST /projects", *long)) == 401


async def test_a_request_with_two_lengths_is_one_request(server: str):
    twice = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    smuggled = b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await _raw(server, b"POST /auth/login", *twice, body=smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert _status(await _raw(server, b"POST /auth/login", b"Content-Length: 2", b"Content-Length: 9")) == 400


async def test_sign_in_does_not_redirect_to_another_site(cast: Cast, server: str):
    for target in (
        b"//evil.example", b"///evil.example", b"/%09//evil.example", b"%2f%2fevil.example", b"https:evil.example",
        b"https://evil.example", b"/%5cevil.example", b"%5c%5cevil.example", b"/.//evil.example",
        b"/..//evil.example", b"/search/../..//evil.example", b"/%0d%0aSet-Cookie:%20x=y", b"javascript:alert(1)",
        b"/\xef\xbc\x8fevil.example", b"%00//evil.example", b"%20//evil.example", b"@evil.example",
    ):  # fmt: skip
        answer = await _raw(server, b"GET /login?next=" + target, _cookie(cast.member), b"Accept: text/html")
        assert _status(answer) in (303, 400), target
        location = next((x for x in answer.lower().split(b"\r\n") if x.startswith(b"location: ")), b"location: /")
        assert location == b"location: /" and b"set-cookie" not in answer.lower(), target


def test_a_url_in_a_query_is_not_another_site():
    for path in ("/search?q=https://example.com//x", "/search#//x", "/conversations/cw:a:1:2/thread?hit=b"):
        assert layout.safe_path(path) == path


async def test_responses_are_not_cached(cast: Cast):
    for path in ("/search", "/search?q=refund", "/docs", "/settings", "/audit", "/projects", "/contacts", "/auth/me"):
        answer = await cast.member.client.get(path, headers=HTML)
        assert answer.headers["cache-control"] == "no-store", path
    assert (await cast.member.client.post("/auth/logout")).headers["cache-control"] == "no-store"


async def test_options_reveals_and_changes_nothing(cast: Cast):
    for path in ("/projects", "/auth/logout", "/search", "/nowhere"):
        answer = await cast.member.client.options(path)
        assert answer.status_code in (404, 405) and "set-cookie" not in answer.headers, path
    assert (await cast.member.client.get("/auth/me")).json()["authenticated"]


@pytest.mark.parametrize("origin", ["*", "null", "app.example.com", "https://a.example/path", "https://*.example.com"])
def test_an_invalid_origin_stops_the_start(monkeypatch: pytest.MonkeyPatch, origin: str):
    monkeypatch.setenv("CORS_ORIGIN", f"https://app.example.com,{origin}")
    with pytest.raises(Invalid) as refused:
        settings.load()
    assert refused.value.message.startswith("CORS_ORIGIN='https://app.example.com,")
    assert f"{origin!r} is not an origin" in refused.value.message
