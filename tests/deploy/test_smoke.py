"""The smoke test walks a running installation: a server, a worker, and a Chatwoot that is simulated."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import free_port

ROOT = Path(__file__).parents[2]
STEPS = (
    "alive", "ready", "signed in", "project selected", "source bound", "conversations synced", "messages embedded",
    "evidence found", "conversation shown", "draft checked and cancelled", "audit event recorded", "signed out",
)  # fmt: skip


@contextlib.contextmanager
def demo(home: Path) -> Iterator[tuple[str, str]]:
    """Run `proofdesk demo` in an empty home. Yield its URL and password when it serves."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PROOFDESK_HOME": str(home / "proofdesk"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PORT": str(free_port()),
        "PYTHONUNBUFFERED": "1",
    }
    log = home / "demo.log"
    with log.open("w") as output:
        command = [sys.executable, "-m", "proofdesk", "demo"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield _wait_for_login(log, process)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _wait_for_login(log: Path, process: subprocess.Popen[bytes]) -> tuple[str, str]:
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        text = log.read_text()
        address, password = re.search(r"Open (http://\S+?)/?\s", text), re.search(r"Password: (\S+)", text)
        if address and password:
            return address[1], password[1]
        time.sleep(0.2)
    pytest.fail(f"The demo did not start:\n{log.read_text()[-4000:]}")


def smoke(address: str, password: str, *more: str) -> "subprocess.CompletedProcess[str]":
    """Run `deploy/smoke.py` as an operator does, with only Python."""
    return subprocess.run(
        [sys.executable, "-I", ROOT / "deploy" / "smoke.py", address, *more],
        env={"PATH": os.environ["PATH"], "AUTH_USERNAME": "demo", "AUTH_PASSWORD": password},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_smoke_test_passes_and_stops_at_the_first_failure(tmp_path: Path):
    with demo(tmp_path) as (address, password):
        whole = smoke(address, password)
        assert whole.returncode == 0, whole.stdout + whole.stderr
        assert [line[2:].split("  ")[0] for line in whole.stdout.splitlines()] == list(STEPS)
        refused = smoke(address, "not the password")
        assert refused.returncode == 1 and "✗ signed in" in refused.stdout and "401" in refused.stdout
        typo = smoke(address, password, "--project", "Kestral")
        assert typo.returncode == 1 and "There is no project 'Kestral'." in typo.stdout
        nothing = smoke(
            address, password, "--query", "xylophone quartz zeppelin", "--project", "Empty yard", "--create"
        )
        assert nothing.returncode == 1 and nothing.stdout.splitlines()[-2].startswith("✗")
    gone = smoke(address, password, "--wait", "0")
    assert gone.returncode == 1 and gone.stdout.startswith("✗ alive")
