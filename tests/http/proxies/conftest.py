"""A real nginx in front of the real server, both on free ports of this machine."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.http.api.server import Person, free_port, serving, sign_up

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MAIN = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""

Proxy = Callable[[str], "contextlib.AbstractContextManager[str]"]


@pytest.fixture(scope="session")
def behind(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that believes 127.0.0.1."""
    log = tmp_path_factory.mktemp("behind") / "server.log"
    with serving(database_url, log, TRUSTED_PROXIES="127.0.0.1") as url:
        yield url


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the name in the example, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "site.crt", folder / "site.key"
    name = "proofdesk.example.com"
    asked = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *asked]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def tls(behind: str, certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[str]:
    """nginx with the very file of the documentation, other ports and names of files apart; its https address."""
    site, secure_port = (EXAMPLES / "nginx.conf").read_text("utf-8"), free_port()
    for theirs, ours in (
        ("127.0.0.1:8080", urlsplit(behind).netloc),
        ("listen 80;", f"listen 127.0.0.1:{free_port()};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{secure_port} ssl;"),
        ("/etc/ssl/proofdesk.crt", str(certificate[0])),
        ("/etc/ssl/proofdesk.key", str(certificate[1])),
    ):
        assert site.count(theirs) == 1, theirs
        site = site.replace(theirs, ours)
    with nginx(site, secure_port, tmp_path):
        yield f"https://localhost:{secure_port}"


@pytest.fixture
def stripping(behind: str, tmp_path: Path) -> Iterator[str]:
    """nginx with the example that takes /api away."""
    site, port = (EXAMPLES / "nginx-under-api.conf").read_text("utf-8"), free_port()
    for theirs, ours in (("127.0.0.1:8080", urlsplit(behind).netloc), ("listen 80;", f"listen 127.0.0.1:{port};")):
        assert site.count(theirs) == 1, theirs
        site = site.replace(theirs, ours)
    with nginx(site, port, tmp_path):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def broken(behind: str, tmp_path: Path) -> Proxy:
    """nginx with a directive that spoils something."""

    @contextlib.contextmanager
    def started(directive: str) -> Iterator[str]:
        port = free_port()
        site = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {behind}; {directive} }} }}"
        with nginx(site, port, tmp_path):
            yield f"http://127.0.0.1:{port}"

    return started


@pytest.fixture
async def amina(behind: str, db: Database, owner_conn: psycopg.Connection) -> AsyncIterator[Person]:
    """Somebody with a password and a session."""
    person = sign_up(behind, owner_conn, "amina")
    yield person
    await person.client.aclose()


@contextlib.contextmanager
def nginx(site: str, port: int, folder: Path) -> Iterator[None]:
    """nginx with these sites, until the block ends."""
    if NGINX is None:
        reason = "nginx is not installed (apt-get install nginx-light)."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    assert NGINX is not None
    (folder / "site.conf").write_text(site)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    errors = folder / "error.log"
    process = subprocess.Popen([NGINX, "-p", folder, "-e", errors, "-c", main], stderr=subprocess.DEVNULL)
    try:
        _await_port(port, process, errors)
        yield
    finally:
        process.terminate()
        process.wait(10)


def browser(url: str, certificate: tuple[Path, Path] | None = None, address: str = "127.0.0.9") -> httpx2.AsyncClient:
    """A client with an address of its own on this machine."""
    verify = ssl.create_default_context(cafile=certificate[0]) if certificate else True
    transport = httpx2.AsyncHTTPTransport(local_address=address, verify=verify)
    return httpx2.AsyncClient(transport=transport, base_url=url, timeout=30, trust_env=False)


def _await_port(port: int, process: "subprocess.Popen[bytes]", errors: Path) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    pytest.fail(f"nginx did not start:\n{errors.read_text() if errors.exists() else ''}")
