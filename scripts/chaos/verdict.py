"""Compares what is stored with what Chatwoot has, project by project."""

from dataclasses import dataclass
from typing import Any

import psycopg
from crew import Crew
from world import World

from proofdesk.cli import output

OFTEN, SELDOM = 30, 3600  # seconds between two runs of a job


@dataclass(frozen=True)
class Counts:
    """The progress of all projects."""

    messages: int
    ready: int
    waiting: int
    busy: int


def shorten_cadences(db: psycopg.Connection) -> None:
    """Make jobs due often, so that there is always a run to interrupt."""
    db.execute("UPDATE scheduled_jobs SET cadence_seconds = %s WHERE job_type <> 'chatwoot_reconcile'", [OFTEN])


def make_syncs_due(db: psycopg.Connection) -> None:
    """Make the syncs due whose last run was successful."""
    db.execute("UPDATE scheduled_jobs SET next_run_at = now() WHERE job_type = 'chatwoot_sync' AND last_status = 'ok'")


def lengthen_cadences(db: psycopg.Connection) -> None:
    """Make jobs due seldom, so that the test ends."""
    db.execute("UPDATE scheduled_jobs SET cadence_seconds = %s WHERE job_type <> 'chatwoot_reconcile'", [SELDOM])


def counts(db: psycopg.Connection) -> Counts:
    """Return the progress of all projects."""
    row = db.execute(
        "SELECT (SELECT count(*) FROM cw_messages),"
        " (SELECT count(*) FROM rag_chunks WHERE embedding_status = 'ready'),"
        " (SELECT count(*) FROM rag_chunks WHERE embedding_status IN ('pending', 'processing')),"
        " (SELECT count(*) FROM worker_runs WHERE status IN ('queued', 'running'))"
    ).fetchone()
    assert row is not None
    return Counts(*row)


def complete(db: psycopg.Connection, world: World) -> bool:
    """Return whether every written message is stored, chunked and embedded."""
    here = counts(db)
    return (here.messages, here.waiting) == (world.written, 0) and here.ready > 0 and not _unchunked(db)


def idle(db: psycopg.Connection, *, hasty: bool) -> bool:
    """Return whether no job waits or runs. With `hasty`, the jobs of killed workers do not count."""
    return _number(db, HELD if hasty else LEFT) == 0 and counts(db).busy == 0


LEFT = "SELECT count(*) FROM procrastinate_jobs"
HELD = LEFT + " WHERE status <> 'doing'"


def worker_pids(db: psycopg.Connection) -> set[int]:
    """Return the process ids of the workers that have executed a run, some of them gone by now."""
    runners = db.execute("SELECT DISTINCT runner FROM worker_runs WHERE runner IS NOT NULL").fetchall()
    return {int(runner.split(":")[1]) for (runner,) in runners}


def wrong(db: psycopg.Connection, world: World, *, hasty: bool) -> list[str]:
    """Return what is missing, doubled or stuck."""
    found = [line for account in world.accounts for line in _of_account(db, world, account)]
    for said, query in {**STUCK, "jobs are left in the queue": HELD if hasty else LEFT}.items():
        if number := _number(db, query):
            found.append(f"{number} {said}")
    return found


STUCK = {
    "runs are still open": "SELECT count(*) FROM worker_runs WHERE status IN ('queued', 'running')",
    "scheduled jobs are paused": "SELECT count(*) FROM scheduled_jobs WHERE status <> 'active'",
    "chunks are not ready": "SELECT count(*) FROM rag_chunks WHERE embedding_status <> 'ready'",
    "chunks have not exactly one vector": (
        "SELECT count(*) FROM (SELECT 1 FROM rag_chunks k LEFT JOIN rag_vectors v"
        " USING (project_id, account_id, message_id, chunk_index)"
        " GROUP BY k.project_id, k.account_id, k.message_id, k.chunk_index HAVING count(v.model) <> 1) t"
    ),
    "pieces of text are stored in two chunks": (
        "SELECT count(*) FROM (SELECT 1 FROM rag_chunks"
        " GROUP BY project_id, conversation_id, content_hash, covers, text HAVING count(*) > 1) t"
    ),
    "conversations are not chunked": "SELECT count(*) FROM cw_conversations WHERE content_version <> chunked_version",
    "conversations are not indexed": "SELECT count(*) FROM cw_conversations WHERE content_version <> indexed_version",
    "items are in quarantine": "SELECT count(*) FROM sync_quarantine",
}


def show(db: psycopg.Connection, world: World, crew: Crew, seconds: float) -> None:
    """Print the numbers."""
    here = counts(db)
    made = sum(world.openai.embedded.values())
    lost = _number(db, "SELECT count(*) FROM worker_runs WHERE error_details->>'code' = 'worker_lost'")
    rows: list[tuple[str, object]] = [
        ("projects", len(world.accounts)),
        ("messages", here.messages),
        ("chunks", here.ready),
        ("seconds", round(seconds, 1)),
        ("messages a second", round(here.messages / seconds, 1)),
        ("kills", crew.kills),
        ("requests to Chatwoot", world.chatwoot.journal.count()),
        ("requests to OpenAI", len(world.openai.requests)),
        *((f"faults: {service}, {kind}", faults_count) for service, kind, faults_count in world.faults_count()),
        ("texts embedded more than once", made - here.ready),
        ("runs lost with their worker", lost),
    ]
    output.print_table(("What", "Number"), rows)
    outcomes = db.execute(
        "SELECT job_type, status, coalesce(error_details->>'code', ''), count(*), max(attempt)"
        " FROM worker_runs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()
    output.print_table(("Job", "Ended", "Cause", "Runs", "Most attempts"), outcomes)


def _of_account(db: psycopg.Connection, world: World, account: int) -> list[str]:
    ours = db.execute(
        "SELECT message_id, conversation_id, content FROM cw_messages WHERE project_id = %s AND account_id = %s",
        [world.accounts[account], account],
    ).fetchall()
    theirs = {(m["id"], m["conversation_id"], m["content"]) for m in world.truth(account)}
    missing, strange = theirs - set(ours), set(ours) - theirs
    found = [f"account {account}: {len(missing)} messages are missing, such as {min(missing)[0]}"] if missing else []
    if strange:
        found.append(f"account {account}: {len(strange)} messages differ from Chatwoot, such as {min(strange)[0]}")
    if len(ours) != len(set(ours)):
        found.append(f"account {account}: {len(ours) - len(set(ours))} messages are stored twice")
    uncovered = _number(db, _UNCOVERED, world.accounts[account])
    return [*found, f"account {account}: {uncovered} messages with text are in no chunk"] if uncovered else found


_UNCOVERED = """
    SELECT count(*) FROM cw_messages m
    WHERE project_id = %s AND message_type IN ('incoming', 'outgoing') AND char_length(btrim(content)) >= 30
      AND NOT EXISTS (SELECT FROM rag_chunks k WHERE k.project_id = m.project_id AND m.message_id = ANY (k.covers))"""


def _unchunked(db: psycopg.Connection) -> int:
    return _number(db, STUCK["conversations are not chunked"]) + _number(db, STUCK["conversations are not indexed"])


def _number(db: psycopg.Connection, query: Any, *values: object) -> int:
    row = db.execute(query, values or None).fetchone()
    assert row is not None
    return row[0]
