"""A real PostgreSQL for every test: migrated once, copied for each test process, emptied after each test."""

import contextlib
import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from proofdesk.database import embedded, migrate
from proofdesk.database.pool import Database, open_database
from proofdesk.projects.scope import Scope
from proofdesk_simulators import smtp
from proofdesk_simulators.serving import running
from proofdesk_simulators.telegram import TelegramSimulator, create_app
from tests.support import embedding
from tests.support.databases import copy_database, delete_all_rows
from tests.support.projects import new_project

pytest_plugins = (
    "tests.support.browser",
    "tests.support.server",
    "tests.support.terminal",
    "tests.support.worlds",
)


def pytest_configure(config: pytest.Config) -> None:
    """Build the assets of the web pages, without which the server does not start, and share the local model."""
    os.environ["PROOFDESK_HOME"] = str(embedding.HOME)
    if not hasattr(config, "workerinput"):
        script = Path(__file__).parent.parent / "scripts" / "assets.py"
        if subprocess.run([sys.executable, str(script)], check=False).returncode:
            pytest.exit("The assets of the web pages could not be built.", 1)


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores, because tests often wait for other processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order long tests first and spread them over the processes, so that no process ends with a long test.

    xdist gives each process an equal share of the tests first, in the order that is made here.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    ordered: list[pytest.Item] = []
    for process in range(processes):
        first = long[process::processes]
        share = (len(items) - len(ordered)) // (processes - process)
        ordered += [*first, *itertools.islice(others, max(0, share - len(first)))]
    items[:] = ordered


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_url(testrun_uid: str) -> Iterator[str]:
    """Return the URL of the embedded server, which all test processes share, with a migrated database to copy."""
    # Not a pytest folder: pytest makes those private, and a server started by root runs as another user.
    home = Path(tempfile.gettempdir()) / f"proofdesk-tests-{testrun_uid}"
    with embedded.running_server(home) as url:
        with _alone(home):
            _tune(url)
            migrate.migrate(url)
        yield url
    if not (home / "postgres" / "postmaster.pid").exists():
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def database_url(server_url: str, worker_id: str) -> str:
    """Return the URL of the database of this test process, as its owner."""
    return copy_database(server_url, f"test_{worker_id}")


@pytest.fixture
def owner_conn(database_url: str) -> Iterator[psycopg.Connection]:
    """Return a connection as the owner of the database, which sees every row of every project."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
async def db(database_url: str, owner_conn: psycopg.Connection) -> AsyncIterator[Database]:
    """Return a pool like that of the application. All tables are empty."""
    async with open_database(database_url, 8) as database:
        yield database
    delete_all_rows(owner_conn)


@pytest.fixture
def tidy_url(database_url: str, owner_conn: psycopg.Connection) -> Iterator[str]:
    """Return the database for tests that use it through other processes only. It is emptied afterwards."""
    yield database_url
    delete_all_rows(owner_conn)


@pytest.fixture
async def project(db: Database) -> Scope:
    """Return the scope of a new project."""
    return await new_project(db, "Studio")


@pytest.fixture(scope="session")
def telegram_server() -> Iterator[tuple[TelegramSimulator, str]]:
    """Return a simulated Telegram and its address, shared by the tests of this process."""
    simulator = TelegramSimulator()
    with running(create_app(simulator)) as url:
        yield simulator, url


@pytest.fixture(scope="session")
def mail_server() -> Iterator[tuple[smtp.SmtpSimulator, str]]:
    """Return a simulated mail relay and its SMTP_URL, shared by the tests of this process."""
    simulator = smtp.SmtpSimulator()
    with smtp.running(simulator) as url:
        yield simulator, url


@pytest.fixture
def relay(mail_server: tuple[smtp.SmtpSimulator, str]) -> Iterator[smtp.SmtpSimulator]:
    """Return the simulated relay, empty and without faults."""
    mail_server[0].reset()
    yield mail_server[0]
    mail_server[0].reset()


@pytest.fixture(scope="session")
def server_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the log of the server."""
    return tmp_path_factory.mktemp("server") / "server.log"


def _tune(url: str) -> None:
    # Test data need not survive a power cut.
    with psycopg.connect(url, autocommit=True) as conn:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            conn.execute(sql.SQL("ALTER SYSTEM SET {}").format(sql.SQL(setting)))
        conn.execute("SELECT pg_reload_conf()")


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "prepare.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
