"""A real PgBouncer on a free port of this machine, in front of a database of the tests."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from tests.support.server import free_port

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_CONFIGURATION = """
[databases]
{name} = host={host} port={port} dbname={name} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
admin_users = postgres
pool_mode = {mode}
{more}
"""


@dataclass(frozen=True)
class Bouncer:
    """A running PgBouncer: its URL for DATABASE_URL, and its configuration file."""

    url: str
    file: Path
    process: "subprocess.Popen[bytes]"

    def set_mode(self, mode: str) -> None:
        """Change `pool_mode` while clients are connected."""
        lines = self.file.read_text().splitlines()
        self.file.write_text("\n".join(f"pool_mode = {mode}" if "pool_mode" in line else line for line in lines))
        admin = conninfo.make_conninfo(self.url, dbname="pgbouncer", user="postgres")
        with psycopg.connect(admin, autocommit=True) as conn:
            conn.execute("RELOAD")


@contextlib.contextmanager
def running(database_url: str, mode: str, more: str = "ignore_startup_parameters = options") -> Iterator[Bouncer]:
    """Run PgBouncer in this mode in front of the database. `more` are additional lines of its configuration."""
    if PGBOUNCER is None:
        reason = "PgBouncer is not installed (apt-get install pgbouncer)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    parts = conninfo.conninfo_to_dict(database_url)
    listen = free_port()
    with tempfile.TemporaryDirectory(prefix="proofdesk-pgbouncer-") as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            _CONFIGURATION.format(
                name=parts["dbname"], host=parts["host"], port=parts.get("port", 5432), user=parts["user"],
                listen=listen, mode=mode, more=more,
            )
        )  # fmt: skip
        process = _start(Path(folder), file, str(parts["host"]))
        try:
            url = f"postgresql://{parts['user']}@127.0.0.1:{listen}/{parts['dbname']}"
            _wait(url, process, Path(folder) / "log")
            yield Bouncer(url, file, process)
        finally:
            process.terminate()
            process.wait(10)


def _start(folder: Path, file: Path, host: str) -> "subprocess.Popen[bytes]":
    # It refuses to run as root, and must be able to reach the server's socket: it runs as the server's user then.
    user = pwd.getpwuid(Path(host).stat().st_uid).pw_name if os.geteuid() == 0 and Path(host).exists() else None
    if os.geteuid() == 0:
        user = "nobody" if user in (None, "root") else user
        folder.chmod(0o755)
        file.chmod(0o644)
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([str(PGBOUNCER), str(file)], stdout=log, stderr=log, user=user)


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            # The console answers without a connection to the server behind.
            psycopg.connect(conninfo.make_conninfo(url, dbname="pgbouncer", user="postgres"), autocommit=True).close()
            return
        time.sleep(0.05)
    pytest.fail(f"PgBouncer did not start: {log.read_text()}")
