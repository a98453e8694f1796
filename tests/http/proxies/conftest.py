"""A real nginx in front of the real server, both on free ports of this machine."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.http.proxies.nginx import Proxy, nginx
from tests.support.server import Person, create_person, free_port, run_server

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


@pytest.fixture(scope="session")
def behind(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that believes 127.0.0.1."""
    log = tmp_path_factory.mktemp("behind") / "server.log"
    with run_server(database_url, log, TRUSTED_PROXIES="127.0.0.1") as url:
        yield url


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the name in the example, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "site.crt", folder / "site.key"
    name = "proofdesk.example.com"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
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
    person = create_person(behind, owner_conn, "amina")
    yield person
    await person.client.aclose()
