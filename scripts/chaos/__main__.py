"""Chaos test of reading: workers are killed and upstreams fail while projects are read and embedded.

    make chaos                         (or: python scripts/chaos --projects 3 --messages 600 --workers 2)

Everything runs on this machine: an embedded database of its own, a simulated Chatwoot with an account for each
project, a simulated OpenAI, and the workers as processes. Exit status 1 when anything is missing, doubled or stuck at
the end.
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
from pathlib import Path

import psycopg
import verdict
from crew import Crew
from world import World, texts

from proofdesk.cli import output
from proofdesk.database import embedded, migrate

PAUSE, REPORT_SECONDS = 0.5, 10.0


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
        output.print_line("Nothing is missing, doubled or stuck.", "bold green")
        shutil.rmtree(home, ignore_errors=True)
    return 1 if wrong else 0


async def _run(options: argparse.Namespace, url: str, home: Path) -> list[str]:
    random_source = random.Random(options.seed)
    started = time.monotonic()
    with (
        World(options.projects, options.messages, texts(), random_source) as world,
        psycopg.connect(url, autocommit=True) as db,
    ):
        await world.create_projects(url)
        verdict.shorten_cadences(db)
        if options.faults:
            world.inject_faults(options.faults)
        with Crew(options.workers, world.environment(url), home, random_source) as crew:
            await _under_fire(options, world, crew, db)
            _write_messages(world, db, 1.0)
            world.stop_faults()
            verdict.lengthen_cadences(db)
            await _quiet(options, world, crew, db)
            spent = time.monotonic() - started
            wrong = verdict.wrong(db, world, hasty=options.hasty) + crew.unexpected_exits
        verdict.show(db, world, crew, spent)
    return wrong


async def _under_fire(options: argparse.Namespace, world: World, crew: Crew, db: psycopg.Connection) -> None:
    """Kill workers while there is work. A tenth of the messages arrives meanwhile."""
    until, reported_at, worth = time.monotonic() + options.seconds, time.monotonic(), options.between
    while time.monotonic() < until:
        await asyncio.sleep(options.kill_every)
        crew.replace_missing()
        if verdict.complete(db, world):
            if world.arrived:
                return
            _write_messages(world, db)
        elif crew.kills < options.kills and world.requests >= worth and crew.kill_one(verdict.worker_pids(db)):
            worth = world.requests + options.between
            _write_messages(world, db)
        if time.monotonic() > reported_at + REPORT_SECONDS:
            reported_at = time.monotonic()
            _report(world, crew, db)


def _write_messages(world: World, db: psycopg.Connection, share: float = 0.1) -> None:
    if not world.arrived:
        world.write_messages(share)
        verdict.make_syncs_due(db)


async def _quiet(options: argparse.Namespace, world: World, crew: Crew, db: psycopg.Connection) -> None:
    """Wait until every message is stored and no job waits or runs."""
    until, reported_at = time.monotonic() + options.settle, time.monotonic()
    while time.monotonic() < until and not (verdict.complete(db, world) and verdict.idle(db, hasty=options.hasty)):
        await asyncio.sleep(PAUSE)
        crew.replace_missing()
        if verdict.idle(db, hasty=options.hasty) and not verdict.complete(db, world):
            verdict.make_syncs_due(db)  # a message that came while a run read its project is for the next run
        if time.monotonic() > reported_at + REPORT_SECONDS:
            reported_at = time.monotonic()
            _report(world, crew, db)


def _report(world: World, crew: Crew, db: psycopg.Connection) -> None:
    here = verdict.counts(db)
    output.print_note(
        f"{world.age:5.0f} s  {here.messages} of {world.messages} messages, {here.ready} chunks ready, "
        f"{here.waiting} waiting, {here.busy} open runs, {crew.kills} kills"
    )


@contextlib.contextmanager
def _database(given: str | None, home: Path) -> Iterator[str]:
    if given is not None:
        yield given
        return
    with embedded.running_server(home / "database") as url:
        migrate.migrate(url)
        yield url


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill workers and break upstreams; nothing may be lost.")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000, help="in all projects together")
    parser.add_argument("--kill-every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument(
        "--between", type=int, default=100, metavar="REQUESTS", help="at least so many between two kills"
    )
    parser.add_argument("--kills", type=int, default=10_000, help="at most so many")
    parser.add_argument("--faults", type=int, default=10, metavar="N", help="one request in N fails; 0: none")
    parser.add_argument("--seconds", type=float, default=600, help="the longest that workers are killed")
    parser.add_argument("--settle", type=float, default=600, help="the longest to wait for the rest afterwards")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--hasty", action="store_true", help="do not wait for the jobs of killed workers")
    parser.add_argument("--database", metavar="URL", help="an empty, migrated database; unset: one of its own")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
