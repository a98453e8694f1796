"""What a backup is for: everything comes back on another server, walls and proofs included."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from proofdesk.db import embedded
from tests import samples
from tests.isolation.worlds import World


@pytest.mark.long
async def test_everything_comes_back_on_another_server(database_url: str, ours: World, tmp_path: Path):
    backup, restore = samples.of("docs/operations.md")
    folder, home = tmp_path / "backups", tmp_path / "elsewhere"
    folder.mkdir()
    written = shell(backup.replace("/backups", str(folder)), DATABASE_URL=database_url)
    assert written.returncode == 0, written.stderr
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o077 == 0, "nobody else may read it"
    restore = restore.replace("/backups/proofdesk-2026-01-31.dump", str(file)).replace("postgresql://…", "")
    fill, prove = restore.splitlines()
    back = shell(fill, PROOFDESK_HOME=str(home))
    assert back.returncode == 0, back.stderr
    with embedded.running(home) as url:
        assert content(url) == content(database_url)
        proof = shell(prove, DATABASE_URL=url)
        assert proof.returncode == 0 and "whole" in proof.stdout, proof.stdout + proof.stderr
        again = proofdesk("restore", file, PROOFDESK_HOME=str(home))
        assert again.returncode == 1 and "holds Proofdesk already" in again.stderr


def test_a_file_that_is_no_backup_changes_nothing(tmp_path: Path):
    file, home = tmp_path / "note.txt", tmp_path / "home"
    file.write_text("not a dump")
    refused = proofdesk("restore", file, PROOFDESK_HOME=str(home))
    assert refused.returncode == 1 and "pg_restore failed" in refused.stderr
    with embedded.running(home) as url, psycopg.connect(url) as conn:
        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_backup_that_fails_leaves_the_old_file(tmp_path: Path):
    file = tmp_path / "proofdesk.dump"
    file.write_text("last week's")
    failed = proofdesk("backup", file, DATABASE_URL="postgresql://nobody:secret-word@127.0.0.1:1/none")
    assert failed.returncode == 1 and "pg_dump failed" in failed.stderr and "secret-word" not in failed.stderr
    assert [p.name for p in tmp_path.iterdir()] == [file.name] and file.read_text() == "last week's"


def content(url: str) -> dict[str, tuple[int, str]]:
    """Rows and their fingerprint by table, as the owner sees them."""
    with psycopg.connect(url) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        found = {}
        for (table,) in tables:
            row = conn.execute(
                sql.SQL(
                    "SELECT count(*), coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {} t"
                ).format(sql.Identifier(table))
            ).fetchone()
            assert row is not None
            found[table] = row
        return found


def shell(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run commands as a page of the documentation writes them."""
    program = f'proofdesk() {{ "{sys.executable}" -m proofdesk "$@"; }}\n'
    return _run(["bash", "-euc", program + script], environment)


def proofdesk(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of ours."""
    return _run([sys.executable, "-m", "proofdesk", *map(str, arguments)], environment)


def _run(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
