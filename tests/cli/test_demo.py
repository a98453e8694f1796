"""`proofdesk demo` in an empty home folder."""

import os
import subprocess
import sys
import time
from pathlib import Path


def demo(home: Path) -> "subprocess.CompletedProcess[str]":
    """Run `proofdesk demo --once` in this home folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PROOFDESK_HOME": str(home / "proofdesk"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "proofdesk", "demo", "--once"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_a_second_demo_imports_nothing_new(tmp_path: Path):
    first = demo(tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("Search: ") == 3
    assert first.stdout.count("/conversations/") >= 3
    assert "approved by demo: sent" in first.stdout
    started = time.monotonic()
    second = demo(tmp_path)
    assert second.returncode == 0, second.stderr
    assert " 0 messages" in second.stdout
    assert time.monotonic() - started < 30
