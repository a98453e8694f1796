"""The commands of the tutorial, run one after the other by a shell."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proofdesk.database.pool import Database
from proofdesk_simulators import chatwoot, serving
from tests.support import samples


@pytest.mark.long
async def test_the_tutorial_ends_with_an_approved_and_sent_message(tmp_path: Path, database_url: str, db: Database):
    script = "\n".join(samples.runnable_samples("docs/tutorial.md"))
    assert script.count("proofdesk ") >= 9
    simulator = chatwoot.build("studio")
    with serving.running(chatwoot.create_app(simulator)) as url:
        simulator.switches.public_url = simulator.switches.storage_url = url
        here = script.replace("http://127.0.0.1:4010", url)
        done = await asyncio.to_thread(_run, here, tmp_path, database_url)
    simulator.close()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "direct" in done.stdout and ": sent" in done.stdout and "intact" in done.stdout


def _run(script: str, home: Path, database_url: str) -> "subprocess.CompletedProcess[str]":
    program = home / "bin" / "proofdesk"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m proofdesk "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DATABASE_URL": database_url,
        "PROOFDESK_HOME": str(home / "proofdesk"),
    }
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
