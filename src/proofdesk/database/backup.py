"""Back up and restore the whole database, in a format that every supported version of PostgreSQL can read."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from proofdesk import __version__
from proofdesk.database import migrate, pg_restore
from proofdesk.database.archive import (
    ArchivedSequence,
    ArchivedTable,
    BackupManifest,
    BackupReader,
    BackupWriter,
    NewerBackup,
)
from proofdesk.database.sessions import connect_as_owner
from proofdesk.errors import Conflict, Invalid, Unavailable

_RECORD = "schema_migrations"


class DatabaseNotEmpty(Conflict):
    """The database to restore into is not empty."""

    code = "database_not_empty"


def dump(url: str, file: Path) -> None:
    """Write a consistent snapshot of the database to `file`.

    Other processes can use the database meanwhile. The file appears when it is complete. Raises `Unavailable` or
    `Invalid`.
    """
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with _database_errors(), connect_as_owner(url) as conn:
            _create(unfinished, file)
            _write(conn, unfinished)
        unfinished.rename(file)
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def record_backup(url: str, error: str | None = None) -> None:
    """Store that a backup succeeded, or why it failed. The database of an older version has no table for that."""
    with contextlib.suppress(psycopg.Error), connect_as_owner(url) as conn:
        conn.execute("INSERT INTO backups (error) VALUES (%s)", [error])
        conn.execute("DELETE FROM backups WHERE finished_at < now() - interval '1 year'")


def restore(url: str, file: Path) -> None:
    """Restore a backup into an empty database: everything, or nothing when an error occurs.

    Raises `DatabaseNotEmpty`, `archive.DamagedBackup`, `archive.NewerBackup` or `Unavailable`.
    """
    if pg_restore.is_pg_dump(file):
        with _database_errors(), connect_as_owner(url) as conn:
            _require_empty(conn)
            migrate.create_role(conn)
            version = conn.info.server_version
        return pg_restore.restore(url, file, version)
    with contextlib.closing(BackupReader(file)) as reader, _database_errors(), connect_as_owner(url) as conn:
        _require_known(reader.manifest)
        with conn.transaction():
            migrate.lock_schema(conn)
            _require_empty(conn)
            migrate.apply_pending(conn, only=set(reader.manifest.migrations))
            _fill(conn, reader)
            migrate.apply_pending(conn)
        conn.execute("ANALYZE")  # autovacuum may run after the first searches
    return None


# Backup ---------------------------------------------------------------------------------------------------------------


def _create(unfinished: Path, file: Path) -> None:
    if file.is_dir():
        raise IsADirectoryError(None, "it is a folder. Name a file in it", str(file))
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600, exist_ok=False)


def _write(conn: psycopg.Connection, unfinished: Path) -> None:
    conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    conn.execute("SET LOCAL row_security = off")  # raises an error if policies would hide rows
    writer = BackupWriter(unfinished)
    try:
        columns = _tables(conn)
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        conn.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))  # against migrations
        migrations = [name for (name,) in conn.execute("SELECT name FROM schema_migrations ORDER BY name")]
        tables = [writer.add(name, of, _copied(conn, name, of)) for name, of in columns.items() if name != _RECORD]
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        server = conn.info.parameter_status("server_version") or ""
        writer.finish(BackupManifest(__version__, server, made_at, migrations, tables, _sequences(conn)))
    finally:
        writer.close()
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())


def _copied(conn: psycopg.Connection, table: str, columns: list[str]) -> Iterator[bytes]:
    with conn.cursor().copy(_copy("TO STDOUT", table, columns)) as copy:
        for block in copy:
            yield bytes(block)


def _copy(direction: str, table: str, columns: list[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    way = sql.SQL("TO STDOUT") if direction == "TO STDOUT" else sql.SQL("FROM STDIN")
    return sql.SQL("COPY public.{} ({}) {}").format(sql.Identifier(table), names, way)


def _tables(conn: psycopg.Connection) -> dict[str, list[str]]:
    """Return the tables with their columns, generated columns excepted."""
    rows = conn.execute(
        """
        SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attgenerated = ''
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                          AND d.deptype = 'e')
        GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    if _RECORD not in dict(rows):
        raise Unavailable("The database has no Proofdesk tables, so there is nothing to back up. Check DATABASE_URL.")
    return dict(rows)


def _sequences(conn: psycopg.Connection) -> list[ArchivedSequence]:
    names = conn.execute(
        "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'"
        " ORDER BY 1"
    ).fetchall()
    sequences: list[ArchivedSequence] = []
    for (name,) in names:
        row = conn.execute(sql.SQL("SELECT last_value, is_called FROM public.{}").format(sql.Identifier(name)))
        sequences += [ArchivedSequence(name, last, called) for last, called in row]
    return sequences


# Restore --------------------------------------------------------------------------------------------------------------


def _require_empty(conn: psycopg.Connection) -> None:
    row = conn.execute(
        """
        SELECT count(*), min(c.relname::text) FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
                          AND d.deptype = 'e')"""
    ).fetchone()
    assert row is not None, "the statement returns a row"
    if row[0]:
        content = "has Proofdesk tables already" if _has_proofdesk(conn) else f"is not empty: it has {row[1]}"
        raise DatabaseNotEmpty(f"The database {content}. Set DATABASE_URL or PROOFDESK_HOME to an empty one.")


def _has_proofdesk(conn: psycopg.Connection) -> bool:
    return conn.execute("SELECT to_regclass('public.schema_migrations')").fetchone() != (None,)


def _require_known(manifest: BackupManifest) -> None:
    if unknown := sorted(set(manifest.migrations) - set(migrate.migration_names())):
        raise NewerBackup(
            f"The backup was created by Proofdesk {manifest.proofdesk}, whose schema is newer ({unknown[0]})."
            " Install that version or a newer one, and restore again."
        )


def _fill(conn: psycopg.Connection, reader: BackupReader) -> None:
    """Copy every table, without triggers and foreign keys: their effects are in the rows already."""
    columns = _tables(conn)
    names = sql.SQL(", ").join(sql.SQL("public.{}").format(sql.Identifier(n)) for n in columns if n != _RECORD)
    with _without_triggers(conn):
        conn.execute(sql.SQL("TRUNCATE {}").format(names))  # migrations may have inserted rows
        for table in reader.manifest.tables:
            if unknown := sorted(set(table.columns) - set(columns.get(table.name, []))):
                raise NewerBackup(
                    f"The backup has {table.name}.{unknown[0]}, unknown to this version. Install a newer version."
                )
            _read(conn, reader, table)
    for sequence in reader.manifest.sequences:
        conn.execute("SELECT setval(c.oid::regclass, %s, %s) FROM pg_class c WHERE c.oid = to_regclass(%s)",
                     (sequence.last_value, sequence.is_called, f"public.{sequence.name}"))  # fmt: skip


def _read(conn: psycopg.Connection, reader: BackupReader, table: ArchivedTable) -> None:
    with conn.cursor() as cursor:
        with cursor.copy(_copy("FROM STDIN", table.name, table.columns)) as copy:
            for block in reader.blocks(table):
                copy.write(block)
        assert cursor.rowcount == table.rows, "the checksum of the text was verified"


@contextlib.contextmanager
def _without_triggers(conn: psycopg.Connection) -> Iterator[None]:
    """Disable triggers and drop foreign keys, and restore them afterwards, which needs no superuser.

    A foreign key that is added again is validated for all rows at once.
    """
    keys = conn.execute(
        """
        SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conparentid = 0 ORDER BY 1, 2"""
    ).fetchall()
    triggered = [
        table
        for (table,) in conn.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE NOT tgisinternal AND tgenabled = 'O' AND c.relnamespace = 'public'::regnamespace"
        ).fetchall()
    ]
    for table, name, _ in keys:
        conn.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
    for table in triggered:
        conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
    yield
    for table in triggered:
        conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
    for table, name, definition in keys:
        conn.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}".encode())


@contextlib.contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, psycopg.OperationalError):
            raise Unavailable(f"The database cannot be reached: {reason}", code="database_unavailable") from error
        raise Unavailable(
            f"The database refused the backup or restore: {reason}", code="database_unavailable"
        ) from error
