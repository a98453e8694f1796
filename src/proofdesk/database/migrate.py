"""Apply migrations: numbered SQL files, applied once each, in order, under a lock. There is no way back."""

import contextlib
import importlib.resources
from collections.abc import Iterator

import psycopg
from psycopg import sql

from proofdesk.database import errors
from proofdesk.database.sessions import APP_ROLE, connect_as_owner
from proofdesk.errors import Unavailable

_LOCK = 0x50726F6F  # the number of an advisory lock, "Proo" in ASCII
_OLDEST_SERVER = 150000
_EXTENSIONS = {"vector": (0, 8), "pg_trgm": (1, 0), "btree_gin": (1, 0)}


def migrate(url: str) -> list[str]:
    """Apply all pending migrations and return their names.

    `url` is that of the owner of the database. Several processes may call this at the same time. Raises `Unavailable`
    with what the server lacks.
    """
    try:
        with connect_as_owner(url) as conn:
            _check_server(conn)
            conn.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            applied = apply_pending(conn)
    except psycopg.errors.InsufficientPrivilege as error:
        extensions = " ".join(f"CREATE EXTENSION {name};" for name in _EXTENSIONS)
        raise Unavailable(
            f"The database user may not create the schema: {error}. Let an administrator run: {extensions}"
            f" CREATE ROLE {APP_ROLE} NOLOGIN; GRANT {APP_ROLE} TO <this user>."
        ) from error
    except psycopg.Error as error:
        if (unavailable := errors.classify(error)) is None:
            raise
        raise unavailable from error
    return applied


def lock_schema(conn: psycopg.Connection) -> None:
    """Check the server, and lock out other migrations until the transaction ends."""
    _check_server(conn)
    conn.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def apply_pending(conn: psycopg.Connection, only: set[str] | None = None) -> list[str]:
    """Apply pending migrations, all or those in `only`, and return their names. The caller holds the lock."""
    return [name for name, script in _pending(conn, only) if _apply(conn, name, script)]


def migration_names() -> list[str]:
    """Return the names of all migrations of this version, those of the queue included."""
    return [*(name for name, _ in _own_migrations()), "queue/schema", *(name for name, _ in _queue_migrations())]


def _check_server(conn: psycopg.Connection) -> None:
    if conn.info.server_version < _OLDEST_SERVER:
        raise Unavailable(
            f"PostgreSQL 15 or newer is required. This server is version {conn.info.server_version // 10000}."
        )
    _check_database(conn)
    for name, oldest in _EXTENSIONS.items():
        row = conn.execute(
            "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = %s",
            [name],
        ).fetchone()
        required = ".".join(map(str, oldest))
        if row is None:
            raise Unavailable(
                f"The extension {name} is not installed on the database server. Install {required} or newer."
            )
        if tuple(map(int, row[0].split(".")[:2])) < oldest:
            raise Unavailable(
                f"The extension {name} is version {row[0]}; {required} or newer is required (ALTER EXTENSION UPDATE)."
            )


def _check_database(conn: psycopg.Connection) -> None:
    row = conn.execute(
        """
        SELECT pg_is_in_recovery(), current_setting('server_encoding'), lower('INFO') = 'info',
               (SELECT string_agg(format('ALTER EXTENSION %%I SET SCHEMA public;', extname), ' ' ORDER BY extname)
                FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                WHERE extname = ANY (%s) AND nspname NOT IN ('public', 'pg_catalog'))""",
        [list(_EXTENSIONS)],
    ).fetchone()
    assert row is not None, "the statement returns a row"
    in_recovery, encoding, lowers, moves = row
    if in_recovery:
        raise Unavailable("The database server is a read-only replica. Set DATABASE_URL to the primary server.")
    if encoding != "UTF8":
        raise Unavailable(
            f"The database has the encoding {encoding}. Create it with ENCODING 'UTF8' TEMPLATE template0."
        )
    if not lowers:
        raise Unavailable(
            "The locale of the database changes how ASCII letters are lower-cased, so addresses would not be found."
            " Create the database with another locale, such as C.UTF-8 or en-US."
        )
    if moves:
        raise Unavailable(f"An extension is not in the schema public. Let an administrator run: {moves}")


def _pending(conn: psycopg.Connection, only: set[str] | None = None) -> Iterator[tuple[str, str]]:
    _prepare(conn)
    done = {name for (name,) in conn.execute("SELECT name FROM schema_migrations")}
    yield from (
        (name, script) for name, script in _own_migrations() if name not in done and (only is None or name in only)
    )
    queue = {name: script for name, script in _queue_migrations() if name not in done}
    if not any(name.startswith("queue/") for name in done):
        # A new database gets the whole schema of the queue at once, and its single migrations count as applied.
        yield "queue/schema", _queue_schema()
        queue = dict.fromkeys(queue, "")
    yield from queue.items()


def _prepare(conn: psycopg.Connection) -> None:
    conn.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    create_role(conn)
    conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(APP_ROLE)))


def create_role(conn: psycopg.Connection) -> None:
    """Create the application role unless the server has it. Roles are shared by all databases of a server."""
    if conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() is None:
        # Another database of this server may be migrated at the same time.
        with contextlib.suppress(psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject), conn.transaction():
            conn.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(APP_ROLE)))


def _apply(conn: psycopg.Connection, name: str, script: str) -> bool:
    with conn.transaction():
        if script:
            conn.execute(script.encode())
        conn.execute("INSERT INTO schema_migrations (name) VALUES (%s)", [name])
    return True


def _own_migrations() -> list[tuple[str, str]]:
    folder = importlib.resources.files("proofdesk.database") / "migrations"
    return sorted((f.name, f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql"))


def _queue_schema() -> str:
    return (importlib.resources.files("procrastinate.sql") / "schema.sql").read_text("utf-8")


def _queue_migrations() -> list[tuple[str, str]]:
    folder = importlib.resources.files("procrastinate.sql") / "migrations"
    return sorted((f"queue/{f.name}", f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql"))
