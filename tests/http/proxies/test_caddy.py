"""Behind Caddy, with the file that compose.yaml gives it."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from tests.http.proxies.nginx import browser
from tests.support.server import PASSWORD, Person, free_port

CADDYFILE = Path(__file__).parents[3] / "deploy" / "Caddyfile"


@pytest.fixture
def site(behind: str, tmp_path: Path) -> Iterator[str]:
    """The site, without a certificate and at another address; the file is as it is otherwise."""
    address = f"http://127.0.0.1:{free_port()}"
    text = CADDYFILE.read_text("utf-8")
    assert text.count("server:8080") == 1
    file = tmp_path / "Caddyfile"
    file.write_text("{\n\tadmin off\n}\n" + text.replace("server:8080", urlsplit(behind).netloc), "utf-8")
    program = shutil.which("caddy")
    assert program, "Debian's package caddy"
    environment = {"SITE_ADDRESS": address, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    log = tmp_path / "caddy.log"
    with log.open("wb") as out:
        command = [program, "run", "--adapter", "caddyfile", "--config", file]
        caddy = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        _wait(address, log)
        yield address
    finally:
        caddy.terminate()
        caddy.wait(10)


async def test_forged_headers_are_ignored_behind_caddy(site: str, amina: Person, owner_conn: psycopg.Connection):
    async with browser(site, None, "127.0.0.11") as client:
        wrong = {"username": "nobody", "password": "wrong"}
        refused = await client.post("/auth/login", json=wrong, headers={"x-forwarded-for": "203.0.113.66"})
        assert refused.status_code == 401
        rows = owner_conn.execute("SELECT subject FROM rate_limits WHERE purpose = 'login.address'").fetchall()
        assert rows == [("127.0.0.11",)]
        done = await client.post("/auth/login", json={"username": "amina", "password": PASSWORD})
        assert done.status_code == 200
        page = await client.get("/search", headers={"accept": "text/html", "accept-encoding": "gzip"})
        assert page.status_code == 200 and page.headers["content-encoding"] == "gzip"


async def test_metrics_are_not_public(site: str):
    async with browser(site, None) as client:
        for prefix in ("", "/v1", "/api", "/api/v1"):
            assert (await client.get(f"{prefix}/metrics")).status_code == 404
            assert (await client.get(f"{prefix}/health")).status_code == 200


def _wait(address: str, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{address}/health", timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text("utf-8", "replace"))
