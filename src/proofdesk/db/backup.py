"""Backup and restore of the whole database, by PostgreSQL's own tools, which come with the embedded server."""

import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from proofdesk.db import postgres_server
from proofdesk.db.pool import APP_ROLE
from proofdesk.errors import Conflict, Unavailable

# What libpq reads from the environment: a password on a command line could be read by everyone on the machine.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "options": "PGOPTIONS",
}


class NotEmpty(Conflict):
    """The database to restore into holds Proofdesk already."""

    code = "database_not_empty"


def dump(url: str, file: Path) -> None:
    """Write one consistent snapshot of the database of `url` to `file`, as `pg_restore` reads it.

    Others may go on working meanwhile. The file appears when it is complete. Raises `Unavailable`.
    """
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.touch(mode=0o600)
    try:
        _call("pg_dump", url, "--format=custom", f"--file={unfinished}")
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)


def restore(url: str, file: Path) -> None:
    """Fill the empty database of `url` with what `dump` wrote: everything, or nothing when something goes wrong.

    Raises `NotEmpty` or `Unavailable`.
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as conn:
        if conn.execute("SELECT to_regclass('public.schema_migrations')").fetchone() != (None,):
            raise NotEmpty(
                "This database holds Proofdesk already. Name an empty one in DATABASE_URL or PROOFDESK_HOME."
            )
        if conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() is None:
            # Roles belong to the server and are not in the dump, which grants rights to this one.
            conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(APP_ROLE)))
    _call("pg_restore", url, "--exit-on-error", "--single-transaction", "--no-owner", "--dbname=", str(file))


def _call(tool: str, url: str, *arguments: str) -> None:
    told = conninfo.conninfo_to_dict(url)
    environment = os.environ | {variable: str(told[name]) for name, variable in _VARIABLES.items() if name in told}
    command = [
        str(postgres_server.program(tool)),
        *(a + environment["PGDATABASE"] if a == "--dbname=" else a for a in arguments),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        said = next((line for line in lines if "error:" in line), lines[-1]).strip()
        raise Unavailable(f"{tool} failed: {said}", code="database_unavailable")
