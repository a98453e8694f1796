"""A sync process that is killed anywhere loses nothing and stores nothing twice."""

import random
import time
from pathlib import Path

import psycopg
import pytest

from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.serving import running
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content
from tests.support.terminal import StartedCommand, Terminal

KILLS = 20


def kill_after(sync: StartedCommand, simulator: ChatwootSimulator, requests: int) -> bool:
    """Kill the process after this many more requests to Chatwoot. Return False if it ended before."""
    entries = simulator.journal.entries
    limit = len(entries) + requests
    next_poll = time.monotonic() + 0.5
    while len(entries) < limit:
        time.sleep(0.001)
        if time.monotonic() > next_poll:
            if sync.poll() is not None:
                return False
            next_poll = time.monotonic() + 0.5
    return sync.kill()


@pytest.mark.long
async def test_twenty_killed_runs_lose_and_double_nothing(
    project: Scope,
    database_url: str,
    owner_conn: psycopg.Connection,
    simulator: ChatwootSimulator,
    terminal: Terminal,
    tmp_path: Path,
):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    create_conversations(simulator, 600, 2)
    create_conversations(simulator, 2, 230)
    simulator.faults.add("delay", delay=0.002)
    log = tmp_path / "sync.log"
    with running(create_app(simulator)) as chatwoot_url:
        environment = {
            "DATABASE_URL": database_url,
            "CHATWOOT_BASE_URL": chatwoot_url,
            "CHATWOOT_API_TOKEN": simulator.admin_token,
            "CHATWOOT_ACCOUNT_ID": "1",
            "LOG_LEVEL": "error",
        }
        killed = started = 0
        while killed < KILLS and started < KILLS + 3:  # a run gives up after ten lost workers; the next one continues
            started += 1
            sync = terminal.start(["sync"], environment, log)
            killed += kill_after(sync, simulator, chance.randint(1, 45))
            # The queue gives a dead worker's job away once its heartbeat is old. The test does not wait for that.
            owner_conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
        # The tenth lost worker ends a run with an error, so the first sync after the kills may only report that.
        status = terminal.start(["sync"], environment, log).wait(60)
        status = status and terminal.start(["sync"], environment, log).wait(60)
    assert status == 0, f"seed {seed}: {log.read_text()}"
    assert stored_content(owner_conn) == chatwoot_content(simulator), f"seed {seed}"
    assert killed == KILLS, f"seed {seed}: some runs ended before they were killed:\n{log.read_text()}"
    # A later run reads only the unfinished page again.
    assert simulator.journal.count(path="*/messages") <= 602 + 6 + KILLS * 25, f"seed {seed}"
