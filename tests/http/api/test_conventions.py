"""Conventions of every response."""

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit

import httpx2
import psycopg

from tests.support.server import ORIGIN, Cast

LIMIT = 256 * 1024


async def test_json_answers_under_four_prefixes(cast: Cast):
    for prefix in ("", "/v1", "/api", "/api/v1"):
        for path in ("/health", "/auth/me", "/projects", "/jobs/runs"):
            assert (await cast.member.client.get(prefix + path)).json()["ok"], path
        missing = await cast.member.client.get(prefix + "/nothing")
        assert (missing.status_code, missing.json()["error"]) == (404, "not_found")


async def test_every_error_has_the_envelope(anyone: httpx2.AsyncClient):
    for method, path, status, code in (
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/projects/", 404, "not_found"),
        ("DELETE", "/projects", 405, "method_not_allowed"),
        ("TRACE", "/health", 405, "method_not_allowed"),
        ("OPTIONS", "/projects", 405, "method_not_allowed"),
        ("GET", "/projects", 401, "unauthorized"),
    ):
        answer = await anyone.request(method, path, headers={"x-request-id": "from a test"})
        assert answer.status_code == status, path
        assert answer.headers["x-request-id"] == "from a test"
        body = answer.json()
        assert body.keys() - {"details"} == {"ok", "error", "message", "request_id"}
        assert body.get("details") == ({"runbook": "auth-loop"} if status == 401 else None)
        assert (body["ok"], body["error"], body["request_id"]) == (False, code, "from a test")


async def test_invalid_fields_are_named(cast: Cast):
    answer = await cast.member.client.post("/search", json={"query": "x", "topK": 0, "filters": {"inbox_ids": ["no"]}})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert [f["path"] for f in answer.json()["details"]["fields"]] == ["topK", "filters.inbox_ids.0"]


async def test_an_unprintable_request_id_is_replaced(anyone: httpx2.AsyncClient):
    for request_id in ("x" * 129, "tab\there", "caf\u00e9", ""):
        answer = await anyone.get("/health", headers=[(b"x-request-id", request_id.encode("latin-1"))])
        assert answer.headers["x-request-id"] not in ("", request_id)
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_every_response_has_security_headers(anyone: httpx2.AsyncClient):
    for path in ("/health", "/nothing", "/projects", "/login", "/static/proofdesk.css", "/static/missing"):
        headers = (await anyone.get(path, headers={"accept": "text/html"})).headers
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy and "script-src 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "Accept" in headers["vary"]


async def test_a_body_must_be_json_or_empty_whatever_its_content_type(cast: Cast):
    post = cast.member.client.post
    assert (await post("/projects", content=b"", headers={"content-type": "application/json"})).json()[
        "error"
    ] == "invalid_name"
    assert (await post("/projects", content=b'{"name": "Plain"}')).json()["project"]["name"] == "Plain"
    for content in (b"{", b"\xff\xfe", b'{"name": NaN}', b"[" * 100_000, b"1" * 5000, b'{"name": "\xc3"}'):
        answer = await post("/projects", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_json"), content[:20]
    form = await post("/search", data={"query": "refund"})
    assert (form.status_code, form.json()["error"]) == (400, "invalid_json")


async def test_a_body_has_at_most_256_kib(cast: Cast):
    fits = b'{"name": "' + b"x" * (LIMIT - 12) + b'"}'
    assert len(fits) == LIMIT
    assert (await cast.member.client.post("/projects", content=fits)).json()["error"] == "invalid_name"
    for size in (LIMIT + 1, 3 * LIMIT, 20 * LIMIT):
        answer = await cast.member.client.post("/projects", content=b" " * size)
        assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


async def test_the_limit_applies_to_bodies_without_content_length(cast: Cast):
    async def endless():
        for _ in range(10):
            yield b" " * (LIMIT // 4)

    answer = await cast.member.client.post("/projects", content=endless())
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


async def test_a_head_request_is_answered_without_a_body(anyone: httpx2.AsyncClient):
    answer = await anyone.head("/health")
    assert answer.status_code == 200 and answer.content == b""


async def test_numbers_out_of_range_in_a_query_string_are_clamped(cast: Cast):
    for query in ("limit=0", "limit=-5", "limit=99999999999999999999999", "offset=-1", "offset=99999999999999999999"):
        for path in ("/jobs/runs", "/contacts", "/conversations"):
            assert (await cast.member.client.get(f"{path}?{query}")).status_code == 200, query
    assert (await cast.member.client.get("/messages?limit=-1")).status_code == 200
    wrong = await cast.member.client.get("/contacts?limit=many")
    assert (wrong.status_code, wrong.json()["details"]["fields"][0]["path"]) == (400, "limit")


async def test_only_configured_origins_get_cors_headers(anyone: httpx2.AsyncClient):
    preflight = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-csrf-token,x-request-id",
    }
    allowed = await anyone.options("/projects", headers=preflight)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert "x-csrf-token" in allowed.headers["access-control-allow-headers"]
    answer = await anyone.get("/projects", headers={"origin": ORIGIN})
    assert answer.status_code == 401 and answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true" and "Origin" in answer.headers["vary"]
    unknown = await anyone.options("/projects", headers=preflight | {"access-control-request-headers": "x-other"})
    assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid_request")
    assert "x-other" not in unknown.headers["access-control-allow-headers"]
    for origin in ("https://evil.example", "null", ORIGIN + ".evil.example", ""):
        refused = await anyone.options("/projects", headers=preflight | {"origin": origin})
        assert refused.status_code == 405
        assert not any(name.startswith("access-control") for name in refused.headers)


async def test_readiness_needs_a_worker_heartbeat(anyone: httpx2.AsyncClient, owner_conn: psycopg.Connection):
    assert (await anyone.get("/health")).json()["status"] == "up"
    silent = await anyone.get("/ready")
    assert (silent.status_code, silent.json()["error"]) == (503, "worker_silent")
    assert "proofdesk worker" in silent.json()["message"]
    owner_conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '10 minutes')")
    assert (await anyone.get("/ready")).json()["error"] == "worker_silent"
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    body = (await anyone.get("/ready")).json()
    assert body["status"] == "ready" and body["worker"]["alive"] and body["worker"]["workers"] == 1


async def test_pages_are_for_requests_that_accept_html(cast: Cast):
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = await cast.member.client.get("/search", headers=browser)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    for path in ("/health", "/jobs/runs", "/v1/projects"):  # these have no page
        assert (await cast.member.client.get(path, headers=browser)).headers["content-type"] == "application/json"
    for accept in ("application/json", "*/*"):
        thread = await cast.member.client.get("/conversations/x/thread", headers={"accept": accept})
        assert thread.headers["content-type"] == "application/json"


async def test_a_request_that_is_not_http_does_no_harm(anyone: httpx2.AsyncClient):
    host = urlsplit(str(anyone.base_url))
    cut_off = b"POST /auth/login HTTP/1.1\r\n"
    for nonsense in (b"\x00\x01\x02\r\n\r\n", b"GET /\xff%zz HTTP/1.1\r\nHost: x\r\n\r\n", cut_off):
        await asyncio.to_thread(_send, host.hostname or "", host.port or 0, nonsense)
    assert (await anyone.get("/health")).status_code == 200


def _send(host: str, port: int, content: bytes) -> None:
    # The server may hang up at once.
    with socket.create_connection((host, port), timeout=5) as connection, contextlib.suppress(OSError):
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)


async def test_openapi_document_is_compressed_when_accepted(cast: Cast):
    plain = await cast.member.client.get("/v1/openapi.json", headers={"accept-encoding": "identity"})
    packed = await cast.member.client.get("/v1/openapi.json", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert plain.json()["paths"] == packed.json()["paths"] and "Accept-Encoding" in packed.headers["vary"]
    assert int(packed.headers["content-length"]) < len(plain.content) / 5
