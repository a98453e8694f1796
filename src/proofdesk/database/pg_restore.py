"""Restore backups that earlier versions created with `pg_dump` 18, by the `pg_restore` of the embedded server."""

import os
import subprocess
from pathlib import Path

from psycopg import conninfo

from proofdesk.database import postgres_server
from proofdesk.errors import Unavailable

_MAGIC = b"PGDMP"
_OLDEST_SERVER = 170000  # older servers refuse transaction_timeout, which pg_restore 18 sets
# The environment variables of libpq. A password on a command line could be read by every user of the machine.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}


def is_pg_dump(file: Path) -> bool:
    """Return whether `pg_dump` wrote the file."""
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def restore(url: str, file: Path, server_version: int) -> None:
    """Restore the file into an empty database: everything, or nothing on an error. Raises `Unavailable`."""
    if server_version < _OLDEST_SERVER:
        raise Unavailable(
            f"{file} was created by an earlier version of Proofdesk with pg_dump 18, whose files PostgreSQL"
            f" {server_version // 10000} refuses. Restore it into an embedded database (unset DATABASE_URL and set"
            " PROOFDESK_HOME to an empty folder), run `proofdesk backup` there, and restore that file."
        )
    parts = conninfo.conninfo_to_dict(url)
    environment = os.environ | {variable: str(parts[name]) for name, variable in _VARIABLES.items() if name in parts}
    command = [str(postgres_server.program_path("pg_restore")), "--exit-on-error", "--single-transaction", "--no-owner"]
    command += [f"--dbname={environment['PGDATABASE']}", str(file)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["no message"]
        reason = next((line for line in lines if "error:" in line), lines[-1]).strip()
        raise Unavailable(f"pg_restore failed: {reason}", code="database_unavailable")
