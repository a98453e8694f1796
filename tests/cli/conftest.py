"""A terminal: commands as processes of their own, without the second that each would take to import everything."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.commands import Terminal


@pytest.fixture(scope="session")
def terminal() -> Iterator[Terminal]:
    """Runs a command with these arguments in this environment, to which the paths are added."""
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.cli.forking"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, env=os.environ | paths, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        asked, answered = process.stdin, process.stdout

        def run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
            asked.write(json.dumps({"arguments": arguments, "environment": paths | dict(environment)}) + "\n")
            asked.flush()
            return subprocess.CompletedProcess(arguments, *json.loads(answered.readline()))

        yield run
        asked.close()
