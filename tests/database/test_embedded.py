"""Processes share the embedded server, and the last one stops it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from proofdesk.database import embedded
from proofdesk.database.home import HomeUnavailable

USER = textwrap.dedent("""
    import sys, pathlib
    from proofdesk.database import embedded
    with embedded.running_server(pathlib.Path(sys.argv[1])) as url:
        print(url, flush=True)
        sys.stdin.readline()
""")


def another_user(home: Path) -> "subprocess.Popen[str]":
    """Start a process that uses the server until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.url = process.stdout.readline().strip()  # type: ignore[attr-defined]
    return process


def server_pid(home: Path) -> int | None:
    """Return the process id of the server, or None when it does not run."""
    try:
        pid = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def test_processes_share_the_server_and_the_last_stops_it(tmp_path: Path):
    with embedded.running_server(tmp_path) as url:
        pid = server_pid(tmp_path)
        other = another_user(tmp_path)
        assert other.url == url  # type: ignore[attr-defined]
        assert server_pid(tmp_path) == pid
    assert server_pid(tmp_path) == pid, "the other process still uses it"
    other.communicate("\n", timeout=20)
    assert server_pid(tmp_path) is None


def test_killed_process_leaves_no_stale_lock(tmp_path: Path):
    other = another_user(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    other.communicate()
    with embedded.running_server(tmp_path) as url, psycopg.connect(url) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert server_pid(tmp_path) is None


def test_killed_server_restarts_with_its_data(tmp_path: Path):
    with embedded.running_server(tmp_path) as url:
        with psycopg.connect(url) as conn:
            conn.execute("CREATE TABLE kept (n int)")
        pid = server_pid(tmp_path)
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 10
        while server_pid(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        with embedded.running_server(tmp_path) as again, psycopg.connect(again) as conn:
            assert conn.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_shared_buffers_apply_from_the_second_start(tmp_path: Path):
    with embedded.running_server(tmp_path):
        pass
    with embedded.running_server(tmp_path) as url, psycopg.connect(url) as conn:
        pages = conn.execute("SELECT setting::bigint FROM pg_settings WHERE name = 'shared_buffers'").fetchone()
        assert pages == (min(psutil.virtual_memory().total // 4, embedded.MAX_SHARED_BUFFERS) // 2**20 * 128,)


def test_every_script_is_lower_cased_in_an_empty_environment(tmp_path: Path):
    script = textwrap.dedent("""
        import sys, pathlib, psycopg
        from proofdesk.database import embedded
        with embedded.running_server(pathlib.Path(sys.argv[1])) as url, psycopg.connect(url) as conn:
            sys.stdout.buffer.write(conn.execute("SELECT lower('ПРИВЕТ ÜBER')").fetchone()[0].encode())
    """)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "home")], env=environment, capture_output=True, check=True
    )
    assert done.stdout.decode() == "привет über"


def test_home_that_cannot_be_created_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnavailable, match="is a file"), embedded.running_server(tmp_path / "file"):
        pass
