"""Run the embedded PostgreSQL: one server per `PROOFDESK_HOME`, shared by all processes that use it.

Each process holds a shared lock on a file while it uses the server. The last process to leave gets an exclusive lock
and stops the server. The kernel releases the locks of a process that dies, so no lock is stale.
"""

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import psycopg
from psycopg import sql

from proofdesk.database import home as homes
from proofdesk.database import postgres_server
from proofdesk.errors import Unavailable

DATABASE = "proofdesk"
MAX_SHARED_BUFFERS = 2 * 2**30  # bytes; at most a quarter of the memory, as PostgreSQL's manual recommends


@contextlib.contextmanager
def running_server(home: Path) -> Iterator[str]:
    """Start or join the server of `home`, and yield the URL of its database for the owner of the database.

    Raises `Unavailable` when the server cannot be started, and `HomeUnavailable` before anything is changed.
    """
    homes.check_home(home)
    with contextlib.ExitStack() as stack:
        try:
            home.mkdir(parents=True, exist_ok=True)
            users = stack.enter_context((home / "postgres.users").open("a"))
            stack.callback(_leave, home, users)
            with _starting(home):
                fcntl.flock(users, fcntl.LOCK_SH)
                url = _start(home / "postgres")
        except OSError as error:
            raise homes.home_error(error, home) from error
        yield url


@contextlib.contextmanager
def _starting(home: Path) -> Iterator[None]:
    """Hold the lock under which one process at a time starts or stops the server."""
    with (home / "postgres.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(data: Path) -> str:
    server = postgres_server.ensure_running(data)
    try:
        _create_database(server.url("postgres"))
    except psycopg.errors.DiskFull:
        raise homes.home_error(OSError(errno.ENOSPC, ""), data.parent) from None
    except psycopg.Error as error:
        reason = " ".join(str(error).split())[:160]
        raise Unavailable(
            f"The embedded database did not start: {reason}. Its log is {homes.display_path(data / 'log')}."
        ) from None
    return server.url(DATABASE)


def _create_database(url: str) -> None:
    # Full-text search lower-cases by the locale. In an empty environment that would be ASCII only.
    with psycopg.connect(url, autocommit=True) as conn:
        if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            return
        conn.execute(
            sql.SQL(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
                " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'"
            ).format(sql.Identifier(DATABASE))
        )
        # Applies from the next start. A vector index that does not fit is read from the file system page by page.
        megabytes = min(psutil.virtual_memory().total // 4, MAX_SHARED_BUFFERS) // 2**20
        conn.execute(sql.SQL("ALTER SYSTEM SET shared_buffers = {}").format(f"{megabytes}MB"))


def _leave(home: Path, users: IO[str]) -> None:
    with _starting(home):
        fcntl.flock(users, fcntl.LOCK_UN)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        postgres_server.stop(home / "postgres")
