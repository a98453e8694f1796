"""The server's processes: each can be stopped at any time."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api.server import free_port

LISTEN = "import sys; from proofdesk.cli import server; server.listen(sys.argv[1], '127.0.0.1', int(sys.argv[2]), 2)"
SLOW = """
import pathlib, time
def make():
    pathlib.Path("{folder}", str(time.monotonic_ns())).touch()
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_stopped_while_it_starts_is_gone_at_once(tmp_path: Path, number: signal.Signals):
    begun = tmp_path / "begun"
    begun.mkdir()
    (tmp_path / "slow.py").write_text(SLOW.format(folder=begun))
    command = [sys.executable, "-c", LISTEN, "slow:make", str(free_port())]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as process:
        until = time.monotonic() + 60
        while len(list(begun.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        assert len(list(begun.iterdir())) == 2
        process.send_signal(number)
        began = time.monotonic()
        process.wait(60)
        assert time.monotonic() - began < 15
