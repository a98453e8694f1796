"""Chaos in reading: workers are killed and upstreams fail while projects are read and embedded.

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

PAUSE, TELL_EVERY = 0.5, 10.0


def main() -> int:
    """Run it; 0 when all is well."""
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
    chance = random.Random(options.seed)
    started = time.monotonic()
    with (
        World(options.projects, options.messages, texts(), chance) as world,
        psycopg.connect(url, autocommit=True) as db,
    ):
        await world.found(url)
        verdict.hurry(db)
        if options.faults:
            world.fail_one_in(options.faults)
        with Crew(options.workers, world.environment(url), home, chance) as crew:
            await _under_fire(options, world, crew, db)
            _let_arrive(world, db, 1.0)
            world.relent()
            verdict.slow_down(db)
            await _quiet(options, world, crew, db)
            spent = time.monotonic() - started
            wrong = verdict.wrong(db, world, hasty=options.hasty) + crew.died_alone
        verdict.show(db, world, crew, spent)
    return wrong


async def _under_fire(options: argparse.Namespace, world: World, crew: Crew, db: psycopg.Connection) -> None:
    """Kill a worker every so often, while there is work; a tenth of the messages arrives meanwhile."""
    until, told, worth = time.monotonic() + options.seconds, time.monotonic(), options.between
    while time.monotonic() < until:
        await asyncio.sleep(options.kill_every)
        crew.look_after()
        if verdict.complete(db, world):
            if world.arrived:
                return
            _let_arrive(world, db)
        elif crew.kills < options.kills and world.requests >= worth and crew.kill_one(verdict.at_work(db)):
            worth = world.requests + options.between
            _let_arrive(world, db)
        if time.monotonic() > told + TELL_EVERY:
            told = time.monotonic()
            _tell(world, crew, db)


def _let_arrive(world: World, db: psycopg.Connection, share: float = 0.1) -> None:
    if not world.arrived:
        world.let_arrive(share)
        verdict.announce(db)


async def _quiet(options: argparse.Namespace, world: World, crew: Crew, db: psycopg.Connection) -> None:
    """Wait until everything is here and nobody has anything to do."""
    until, told = time.monotonic() + options.settle, time.monotonic()
    while time.monotonic() < until and not (verdict.complete(db, world) and verdict.idle(db, hasty=options.hasty)):
        await asyncio.sleep(PAUSE)
        crew.look_after()
        if verdict.idle(db, hasty=options.hasty) and not verdict.complete(db, world):
            verdict.announce(db)  # a message that came while a run read its project is for the next run
        if time.monotonic() > told + TELL_EVERY:
            told = time.monotonic()
            _tell(world, crew, db)


def _tell(world: World, crew: Crew, db: psycopg.Connection) -> None:
    here = verdict.counts(db)
    output.print_note(
        f"{world.age:5.0f} s  {here.messages} of {world.messages} messages, {here.ready} chunks ready, "
        f"{here.waiting} waiting, {here.busy} runs under way, {crew.kills} kills"
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
    parser.add_argument(
        "--hasty", action="store_true", help="do not wait until the queue forgets what dead workers held"
    )
    parser.add_argument("--database", metavar="URL", help="an empty, migrated database; unset: one of its own")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
