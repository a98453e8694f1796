"""A terminal that runs commands in processes which have everything imported already."""

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
    """Return a function that runs a command with arguments and environment variables."""
    paths = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.cli.forking"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, env=os.environ | paths, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        requests, responses = process.stdin, process.stdout

        def run(arguments: tuple[str, ...], environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
            requests.write(json.dumps({"arguments": arguments, "environment": paths | dict(environment)}) + "\n")
            requests.flush()
            return subprocess.CompletedProcess(arguments, *json.loads(responses.readline()))

        yield run
        requests.close()
