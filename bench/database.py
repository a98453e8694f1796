"""A fresh, migrated database for each benchmark, on the embedded server."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from proofdesk.database import embedded, migrate

_SETTINGS = ("max_wal_size = '4GB'", "synchronous_commit = off")


@contextlib.contextmanager
def fresh(shared_buffers: str = "") -> Iterator[str]:
    """Yield the owner's URL of an empty database; remove it afterwards. `shared_buffers` replaces the default."""
    with tempfile.TemporaryDirectory(prefix="proofdesk-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # run by root, the database server is another user
        with embedded.running_server(Path(folder) / "home") as url:  # some settings apply from the second start
            if shared_buffers:
                with psycopg.connect(url, autocommit=True) as conn:
                    conn.execute(f"ALTER SYSTEM SET shared_buffers = '{shared_buffers}'".encode())
        with embedded.running_server(Path(folder) / "home") as url:
            migrate.migrate(url)
            with psycopg.connect(url, autocommit=True) as conn:
                for setting in _SETTINGS:
                    conn.execute(f"ALTER SYSTEM SET {setting}".encode())
                conn.execute("SELECT pg_reload_conf()")
            yield url
