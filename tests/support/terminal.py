"""A terminal that runs commands in forked processes, without the second that each would take to import everything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PATHS = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}


class Terminal:
    """Runs commands of Proofdesk with these arguments and environment variables. PATH and PYTHONPATH are added."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None and process.stdout is not None
        self._requests, self._responses = process.stdin, process.stdout

    def __call__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        result = self.request(arguments=list(arguments), environment=PATHS | dict(environment))
        return subprocess.CompletedProcess(arguments, *result)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> "StartedCommand":
        """Start a command. Its output is appended to the file."""
        request = {"arguments": list(arguments), "environment": PATHS | dict(environment), "log": str(log)}
        return StartedCommand(self, self.request(**request))

    def request(self, **request: Any) -> Any:
        """Send a request to the forking process and return its response."""
        self._requests.write(json.dumps(request) + "\n")
        self._requests.flush()
        return json.loads(self._responses.readline())


@dataclass
class StartedCommand:
    """A command that runs."""

    terminal: Terminal
    pid: int
    status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or None while the command runs."""
        if self.status is None:
            self.status = self.terminal.request(poll=self.pid)
        return self.status

    def kill(self) -> bool:
        """Kill the command and wait for its end. Return False if it had ended before."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)  # the process id stays reserved until it is polled
        return self.wait(10) == -signal.SIGKILL

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit status. Raises TimeoutError."""
        until = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > until:
                raise TimeoutError(f"Process {self.pid} still runs after {timeout} seconds.")
            time.sleep(0.01)
        return status


@pytest.fixture(scope="session")
def terminal() -> Iterator[Terminal]:
    """Start the process that forks commands."""
    command = [sys.executable, "-m", "tests.support.forking"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, env=os.environ | PATHS, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Terminal(process)
        assert process.stdin is not None
        process.stdin.close()
