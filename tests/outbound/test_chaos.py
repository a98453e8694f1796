"""A small run of `make chaos`: workers are killed while channels fail, and nothing is sent twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = {"workers": 2, "projects": 2, "messages": 60, "kill-every": 0.2, "between": 4, "kills": 2}
SMALL |= {"faults": 4, "hangs": 30, "lease": 4, "seconds": 60, "settle": 150, "seed": 6}


@pytest.mark.long
def test_killed_workers_send_nothing_twice_and_nothing_blocked(tidy_url: str):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    command = [sys.executable, "scripts/chaos/sending.py", *options, "--hasty", "--database", tidy_url]
    process = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert process.returncode == 0, process.stdout + process.stderr
    lines = [line.rsplit(maxsplit=1) for line in process.stdout.splitlines() if line.strip()]
    numbers = {label.strip(): number for label, number in lines if number.isdecimal()}
    assert numbers["messages"] == "60"
    for label in ("kills", "delivered", "attempts: unknown", "opted out"):
        assert int(numbers[label]) > 0, process.stdout
