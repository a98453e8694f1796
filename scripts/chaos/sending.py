"""Chaos test of sending: workers are killed while providers fail and hang, and contacts opt out and reply.

    make chaos                   (or: python scripts/chaos/sending.py --messages 200 --workers 2)

Everything runs on this machine: an embedded database of its own, a simulated Chatwoot, which can be asked afterwards
what it took, a simulated Telegram, which cannot, and the workers as processes. What arrived is counted at the simulated
providers. Exit status 1 when a message was sent twice or against a policy, or when its status has no reason.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import proof
import psycopg
import verdict
from crew import Crew
from proof import Witness
from recipients import Recipients

from proofdesk.cli import output
from proofdesk.database import embedded, migrate
from proofdesk.jobs.resources import Resources

PAUSE, REPORT_SECONDS = 0.5, 10.0
DISTURBED = 20  # one person in so many is out or has replied at last, for each of four ways


@dataclass
class Stage:
    """The parts of the test."""

    options: argparse.Namespace
    world: Recipients
    resources: Resources
    db: psycopg.Connection
    crew: Crew
    witness: Witness

    def arrived(self) -> int:
        """The number of messages that the providers have received."""
        return sum(self.world.arrived().values())

    def look(self) -> None:
        """Do what happens every half second."""
        self.witness.look(self.db)
        self.crew.replace_missing()
        proof.due_now(self.db)


def main() -> int:
    """Run the test. Return 0 when it succeeds."""
    options = _options()
    home = Path(tempfile.mkdtemp(prefix="proofdesk-chaos-"))
    home.chmod(0o755)  # run by root, the database server is another user
    output.print_line(f"Seed {options.seed}; logs of the workers in {home}")
    with _database(options.database, home) as url:
        wrong = asyncio.run(_run(options, url, home))
    for line in wrong:
        output.print_line(f"WRONG: {line}", "bold red")
    if not wrong:
        output.print_line(
            "No message was sent twice or against a policy, and every message has its reason.", "bold green"
        )
        shutil.rmtree(home, ignore_errors=True)
    return 1 if wrong else 0


async def _run(options: argparse.Namespace, url: str, home: Path) -> list[str]:
    random_source = random.Random(options.seed)
    with (
        Recipients(options.projects, options.messages, options.lease, random_source) as world,
        psycopg.connect(url, autocommit=True) as db,
    ):
        async with world.opened(url) as resources:
            await world.gather(resources)
            await world.approve(resources, db)
            world.inject_faults(options.faults, options.hangs)
            started = time.monotonic()
            with Crew(options.workers, world.environment(url), home, random_source) as crew:
                stage = Stage(options, world, resources, db, crew, Witness())
                await _under_fire(stage)
                world.stop_faults()
                await _quiet(stage)
                spent = time.monotonic() - started
        seen = proof.load_proof(db, world, stage.witness)
        proof.show(seen, world, crew, spent)
    return [f"{number} {said}" for said, number in seen.findings.items() if number] + crew.unexpected_exits


async def _under_fire(stage: Stage) -> None:
    """Kill workers while there is something to send. Contacts opt out and reply meanwhile.

    It ends with the last requested kill.
    """
    options = stage.options
    until, reported_at = time.monotonic() + options.seconds, time.monotonic()
    worth, next_kill, disturbed = options.between, time.monotonic(), 0
    while time.monotonic() < until and stage.crew.kills < options.kills and proof.left(stage.db):
        await asyncio.sleep(PAUSE)
        stage.look()
        arrived = stage.arrived()
        if disturbed < len(stage.world.people) // DISTURBED and arrived > options.between // 2:
            disturbed += 1
            await stage.world.change_consent(stage.resources)
        due = arrived >= worth and time.monotonic() >= next_kill
        if due and stage.crew.kill_one(verdict.worker_pids(stage.db)):
            worth, next_kill = arrived + options.between, time.monotonic() + options.kill_every
        if time.monotonic() > reported_at + REPORT_SECONDS:
            reported_at = time.monotonic()
            _report(stage)


async def _quiet(stage: Stage) -> None:
    """Wait until nothing is being sent and nothing is due."""
    until, reported_at = time.monotonic() + stage.options.settle, time.monotonic()
    while time.monotonic() < until and proof.left(stage.db):
        await asyncio.sleep(PAUSE)
        stage.look()
        if stage.options.hasty:
            proof.let_time_pass(stage.db, stage.options.lease)
        if time.monotonic() > reported_at + REPORT_SECONDS:
            reported_at = time.monotonic()
            _report(stage)


def _report(stage: Stage) -> None:
    output.print_note(f"{stage.arrived()} delivered, {proof.left(stage.db)} left, {stage.crew.kills} kills")


@contextlib.contextmanager
def _database(given: str | None, home: Path) -> Iterator[str]:
    if given is not None:
        yield given
        return
    with embedded.running_server(home / "database") as url:
        migrate.migrate(url)
        yield url


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill workers and break providers; nothing may leave twice.")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--projects", type=int, default=8)
    parser.add_argument("--messages", type=int, default=10_000, help="in all projects together")
    parser.add_argument("--kill-every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument(
        "--between", type=int, default=20, metavar="MESSAGES", help="at least so many between two kills"
    )
    parser.add_argument("--kills", type=int, default=10_000, help="at most so many")
    parser.add_argument("--faults", type=int, default=10, metavar="N", help="one call in N fails")
    parser.add_argument("--hangs", type=int, default=100, metavar="N", help="one call in N takes too long")
    parser.add_argument("--lease", type=float, default=10, metavar="SECONDS", help="OUTBOUND_LEASE_SECONDS")
    parser.add_argument("--seconds", type=float, default=1800, help="the longest that workers are killed")
    parser.add_argument("--settle", type=float, default=300, help="the longest to wait for the rest afterwards")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument(
        "--hasty", action="store_true", help="do not wait until Chatwoot has certainly dropped what was broken off"
    )
    parser.add_argument("--database", metavar="URL", help="an empty, migrated database; unset: one of its own")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
