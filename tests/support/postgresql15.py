"""A server of Debian's PostgreSQL 15, the oldest supported version, with pgvector built for it."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

BIN = Path("/usr/lib/postgresql/15/bin")
VECTOR = Path("/usr/lib/postgresql/15/lib/vector.so")
OWNER = "proofdesk_owner"


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Run the server, and yield the URL of its database `postgres` for the superuser."""
    if not VECTOR.exists():
        reason = "PostgreSQL 15 with pgvector is not installed (.ci/postgresql-15 installs it)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="proofdesk-15-"))
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    data = folder / "data"
    try:
        initdb = [BIN / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        _run([*initdb, "--no-sync"], user)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        _run([BIN / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"], user)
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            _run([BIN / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(server: str, name: str, clause: str = "") -> str:
    """Create an empty database that is owned by a user without special rights, and return its URL for that user."""
    with psycopg.connect(server, autocommit=True) as conn:
        if conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone() is None:
            conn.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE".encode())
            conn.execute("CREATE ROLE proofdesk_app NOLOGIN")
            conn.execute(f"GRANT proofdesk_app TO {OWNER}".encode())
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        conn.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0 {clause}".encode())
    database = server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(database, autocommit=True) as conn:
        for extension in ("vector", "pg_trgm", "btree_gin"):
            conn.execute(f"CREATE EXTENSION {extension}".encode())
        conn.execute(f"ALTER SCHEMA public OWNER TO {OWNER}".encode())
    return database.replace("postgres@", f"{OWNER}@")


def _run(command: list[str | Path], user: str | None) -> None:
    done = subprocess.run(command, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", check=False)
    assert done.returncode == 0, done.stderr.decode()
