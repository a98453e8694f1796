"""The small form of `make chaos`: workers are killed while upstreams fail, and nothing is missing, doubled or stuck."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = {"workers": 2, "projects": 3, "messages": 600, "kill-every": 0.2, "between": 45, "kills": 4}
SMALL |= {"seconds": 90, "settle": 240}


@pytest.mark.long
def test_killed_workers_and_failing_upstreams_lose_nothing(tidy_url: str):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [
        sys.executable,
        "scripts/chaos",
        *(f"--{name}={value}" for name, value in SMALL.items()),
        "--database",
        tidy_url,
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = {
        line.rsplit(maxsplit=1)[0].strip(): line.rsplit(maxsplit=1)[1] for line in done.stdout.splitlines()[2:20]
    }
    assert (numbers["projects"], numbers["messages"]) == ("3", "600")
    assert int(numbers["kills"]) > 0, done.stdout
