"""A sync process killed anywhere loses nothing and stores nothing twice."""

import os
import random
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.serving import running
from tests.support.chatwoot import fill, ours, theirs

KILLS = 20


def start_sync(database_url: str, chatwoot_url: str, token: str) -> "subprocess.Popen[bytes]":
    """`proofdesk sync` as a process of its own."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DATABASE_URL": database_url,
        "CHATWOOT_BASE_URL": chatwoot_url,
        "CHATWOOT_API_TOKEN": token,
        "CHATWOOT_ACCOUNT_ID": "1",
        "LOG_LEVEL": "error",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "proofdesk", "sync"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def kill_after(process: "subprocess.Popen[bytes]", simulator: ChatwootSimulator, requests: int) -> bool:
    """Kill the process once Chatwoot has had so many requests more; False when it was done before."""
    wanted = simulator.journal.count() + requests
    while process.poll() is None and simulator.journal.count() < wanted:
        time.sleep(0.001)
    if process.poll() is not None:
        process.communicate()
        return False
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return True


@pytest.mark.long
async def test_twenty_killed_runs_lose_and_double_nothing(
    project: Scope, database_url: str, owner_conn: psycopg.Connection, simulator: ChatwootSimulator
):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    fill(simulator, 600, 2)
    fill(simulator, 2, 230)
    simulator.faults.add("delay", delay=0.002)
    with running(create_app(simulator)) as chatwoot_url:
        killed = 0
        for _ in range(KILLS):
            process = start_sync(database_url, chatwoot_url, simulator.admin_token)
            killed += kill_after(process, simulator, chance.randint(1, 45))
        last = start_sync(database_url, chatwoot_url, simulator.admin_token)
        output = b"".join(last.communicate(timeout=60))
    assert last.returncode == 0, f"seed {seed}: {output.decode()}"
    assert ours(owner_conn) == theirs(simulator), f"seed {seed}"
    assert killed == KILLS, f"seed {seed}: some runs ended before they were killed"
    # What a killed run had finished is not read again: at most the page that was under way is.
    assert simulator.journal.count(path="*/messages") <= 602 + 6 + KILLS * 25, f"seed {seed}"
