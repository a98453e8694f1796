"""Measure commitments: labelled conversations, through the real tables and the job, without a model.

    make eval                         (or: python scripts/eval_commitments.py [--errors])

`promises.py` says where the data is. Each time zone of a business is a project.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import promises
from promises import Row

from proofdesk.audit.events import system_actor
from proofdesk.commitments import extraction_job, register
from proofdesk.commitments.commitment_queries import STATES, Commitment, CommitmentFilter
from proofdesk.database import embedded, migrate
from proofdesk.database.pool import Database, open_database
from proofdesk.jobs import new_projects
from proofdesk.projects import scope

_MOST = 10_000  # commitments of a project


def main() -> int:
    """Load the conversations, extract, print the scores and the states. Return 0 also when there is no data."""
    parser = argparse.ArgumentParser(description="Measure commitments on labelled conversations.")
    parser.add_argument("--errors", action="store_true", help="also print what is wrong")
    arguments = parser.parse_args()
    folder = promises.find_folder()
    if folder is None:
        return 0
    found = asyncio.run(_evaluate(folder))
    conversations = {m["message_id"]: c["conversation_id"] for c in _read(folder) for m in c["messages"]}
    predictions = [_prediction(commitment, conversations) for commitment in found]
    status = promises.run_scorer(folder, "commitments", predictions, errors=arguments.errors)
    _print_states(promises.read_rows(folder / "commitments.jsonl"), found)
    return status


async def _evaluate(folder: Path) -> list[Commitment]:
    by_zone: dict[str, list[Row]] = defaultdict(list)
    for row in _read(folder):
        by_zone[row["business_timezone"]].append(row)
    with embedded.running_server(promises.HOME) as url:
        migrate.migrate(url)
        async with open_database(url, 4) as db:
            return [c for zone, rows in by_zone.items() for c in await _extract(db, zone, rows)]


async def _extract(db: Database, zone: str, rows: list[Row]) -> list[Commitment]:
    project = await new_projects.create(db, system_actor(), f"Commitments {zone} {time.time():.0f}")
    project_scope = await scope.enter(db, system_actor(), project.id)
    await promises.store_conversations(db, project_scope, rows)
    await extraction_job.run(db, project_scope, zone)
    return (await register.list_commitments(db, project_scope, CommitmentFilter(), zone, _MOST, 0))[0]


def _read(folder: Path) -> list[Row]:
    return promises.read_rows(folder / "conversations.jsonl")


def _message(commitment: Commitment) -> int:
    return int(commitment.message_global_id.rpartition(":")[2])


def _prediction(commitment: Commitment, conversations: dict[int, str]) -> Row:
    return {
        "conversation_id": conversations[_message(commitment)],
        "message_id": _message(commitment),
        "quote": commitment.quote,
        "by": "agent" if commitment.by == "us" else "contact",
        "due": commitment.due and commitment.due.isoformat(),
    }


def _print_states(labels: list[Row], found: list[Commitment]) -> None:
    """Print how often each stored state is the labelled one, among the commitments whose quotes overlap."""
    labelled = [(label["message_id"], label["quote"], label["status_at_end"]) for label in labels]
    pairs: Counter[tuple[str, str]] = Counter()
    for commitment in found:
        for message_id, quote, status in labelled:
            if message_id == _message(commitment) and (quote in commitment.quote or commitment.quote in quote):
                pairs[(commitment.state, status)] += 1
                break
    print("\nstate        stored   right")
    for state in STATES[1:]:
        stored = sum(count for (name, _), count in pairs.items() if name == state)
        print(f"{state:12} {stored:6} {pairs[(state, state)]:7}")


if __name__ == "__main__":
    sys.exit(main())
