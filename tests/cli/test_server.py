"""The processes of the server, which can be stopped at any time."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import LISTEN, free_port

SLOW = """
import pathlib, time
def note(what):
    pathlib.Path("{folder}", f"{{what}} {{time.monotonic_ns()}}").touch()
def make():
    note("begun")
    time.sleep(600)
note("read")
"""


@contextlib.contextmanager
def starting(tmp_path: Path) -> Iterator["tuple[subprocess.Popen[bytes], list[str]]"]:
    """A server whose two processes are loading the application, and the notes that they wrote until then."""
    notes = tmp_path / "notes"
    notes.mkdir()
    (tmp_path / "slow.py").write_text(SLOW.format(folder=notes))
    command = [sys.executable, "-c", LISTEN, "slow:make", str(free_port())]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as process:
        until = time.monotonic() + 60
        while len(list(notes.glob("begun *"))) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        try:
            yield process, [path.name.split()[0] for path in notes.iterdir()]
        finally:
            process.terminate()


def test_the_application_is_imported_once_for_all_processes(tmp_path: Path):
    with starting(tmp_path) as (_, notes):
        assert sorted(notes) == ["begun", "begun", "read"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_while_it_starts_exits_at_once(tmp_path: Path, number: signal.Signals):
    with starting(tmp_path) as (process, notes):
        assert notes.count("begun") == 2
        process.send_signal(number)
        began = time.monotonic()
        process.wait(60)
        assert time.monotonic() - began < 15
