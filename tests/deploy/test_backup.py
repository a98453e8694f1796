"""Backups restore everything on another server, including row-level security and the audit chain."""

import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from proofdesk.database import backup, embedded, pg_restore, postgres_server
from proofdesk.database.archive import DamagedBackup, NewerBackup
from proofdesk.errors import Invalid, Unavailable
from tests.support import samples
from tests.support.commands import proofdesk, shell, start_proofdesk
from tests.support.databases import table_hashes
from tests.support.worlds import World


@pytest.fixture
def empty_url(server_url: str, worker_id: str) -> Iterator[str]:
    """Create an empty database and yield its URL."""
    name = f"restored_{worker_id}"
    with psycopg.connect(server_url.replace("/proofdesk?", "/postgres?"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name)))
        yield server_url.replace("/proofdesk?", f"/{name}?")
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.mark.long
async def test_a_backup_restores_everything_on_another_server(database_url: str, ours: World, tmp_path: Path):
    write, restore = samples.runnable_samples("docs/operations.md")
    folder, home = tmp_path / "backups", tmp_path / "elsewhere"
    folder.mkdir()
    written = shell(write.replace("/backups", str(folder)), DATABASE_URL=database_url)
    assert written.returncode == 0, written.stderr
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o077 == 0, "nobody else may read it"
    restore = restore.replace("/backups/proofdesk-2026-01-31.zip", str(file)).replace("postgresql://…", "")
    fill, prove = restore.splitlines()
    back = shell(fill, PROOFDESK_HOME=str(home))
    assert back.returncode == 0, back.stderr
    with embedded.running_server(home) as url:
        restored, here = table_hashes(url), table_hashes(database_url)
        assert here.pop("backups") != restored.pop("backups"), "how a backup ended is recorded after it"
        assert restored == here
        proof = shell(prove, DATABASE_URL=url)
        assert proof.returncode == 0 and "intact" in proof.stdout, proof.stdout + proof.stderr
        again = proofdesk("restore", file, PROOFDESK_HOME=str(home))
        assert again.returncode == 1 and "has Proofdesk tables already" in again.stderr


def test_restoring_another_kind_of_file_changes_nothing(tmp_path: Path):
    file, home = tmp_path / "note.txt", tmp_path / "home"
    file.write_text("not a dump")
    refused = proofdesk("restore", file, PROOFDESK_HOME=str(home))
    assert refused.returncode == 1 and "not a complete backup" in refused.stderr
    with embedded.running_server(home) as url, psycopg.connect(url) as conn:
        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_restoring_a_damaged_or_newer_backup_leaves_nothing(tidy_url: str, empty_url: str, tmp_path: Path):
    whole, damaged, cut, newer = (tmp_path / name for name in ("whole.zip", "damaged.zip", "cut.zip", "newer.zip"))
    backup.dump(tidy_url, whole)
    cut.write_bytes(whole.read_bytes()[:-100])
    _rewrite(whole, damaged, "data/projects.copy", lambda text: text + b"\\x00")
    _rewrite(whole, newer, "manifest.json", lambda text: text.replace(b"0001_foundation", b"9999_future"))
    for file, error, words in (
        (cut, DamagedBackup, "not a complete backup"),
        (damaged, DamagedBackup, "the checksum of projects is wrong"),
        (newer, NewerBackup, "9999_future"),
    ):
        with pytest.raises(error, match=words):
            backup.restore(empty_url, file)
        with psycopg.connect(empty_url) as conn:
            assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,), file
    backup.restore(empty_url, whole)
    assert _structure(empty_url) == _structure(tidy_url)


def test_killed_restore_leaves_nothing_and_can_be_repeated(tidy_url: str, empty_url: str, tmp_path: Path):
    file = tmp_path / "whole.zip"
    backup.dump(tidy_url, file)
    killed = start_proofdesk("restore", file, DATABASE_URL=empty_url)
    with psycopg.connect(empty_url, autocommit=True) as conn:
        _wait_for_sessions(conn, 1)
        killed.kill()
        killed.wait()
        _wait_for_sessions(conn, 0)
        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    repeated = proofdesk("restore", file, DATABASE_URL=empty_url)
    assert repeated.returncode == 0, repeated.stderr
    assert _structure(empty_url) == _structure(tidy_url)


def test_restoring_into_a_used_database_is_rejected(tidy_url: str, empty_url: str, tmp_path: Path):
    file = tmp_path / "backup.zip"
    backup.dump(tidy_url, file)
    with psycopg.connect(empty_url) as conn:
        conn.execute("CREATE TABLE somebody_elses ()")
    with pytest.raises(backup.DatabaseNotEmpty, match="somebody_elses"):
        backup.restore(empty_url, file)


def test_a_pg_dump_backup_is_restored(tidy_url: str, empty_url: str, tmp_path: Path):
    file = tmp_path / "old.dump"
    pg_dump = postgres_server.program_path("pg_dump")
    subprocess.run([str(pg_dump), "--format=custom", f"--file={file}", f"--dbname={tidy_url}"], check=True)
    with pytest.raises(Unavailable, match="unset DATABASE_URL"):
        pg_restore.restore(empty_url, file, 150000)
    backup.restore(empty_url, file)
    assert _structure(empty_url) == _structure(tidy_url)


def test_a_backup_needs_a_writable_file(tidy_url: str, tmp_path: Path):
    for place in (tmp_path, tmp_path / "missing" / "file.zip"):
        with pytest.raises(Invalid, match="cannot be written"):
            backup.dump(tidy_url, place)


def _rewrite(whole: Path, changed: Path, member: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == member else old.read(name))


def _wait_for_sessions(conn: psycopg.Connection, count: int) -> None:
    """Wait until so many other sessions of this database have written something."""
    deadline = time.monotonic() + 60
    while conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND (backend_xid IS NOT NULL OR %s = 0)",
        [count],
    ).fetchone() != (count,):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _structure(url: str) -> list[tuple[str, ...]]:
    """Return triggers and foreign keys, and whether they are enabled."""
    with psycopg.connect(url) as conn:
        return conn.execute(
            """
            SELECT tgrelid::regclass::text, tgname::text, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
            UNION ALL SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE contype = 'f' AND convalidated ORDER BY 1, 2, 3"""
        ).fetchall()


def test_a_failed_backup_keeps_the_old_file(tmp_path: Path):
    file = tmp_path / "proofdesk.dump"
    file.write_text("last week's")
    failed = proofdesk("backup", file, DATABASE_URL="postgresql://nobody:secret-word@127.0.0.1:1/none")
    assert failed.returncode == 1 and "cannot be reached" in failed.stderr and "secret-word" not in failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == [file.name] and file.read_text() == "last week's"
