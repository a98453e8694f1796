"""Comparing what is stored with what Chatwoot holds, project by project, and the numbers."""

from dataclasses import dataclass
from typing import Any

import psycopg
from crew import Crew
from world import World

from proofdesk.cli import output

OFTEN, SELDOM = 30, 3600  # seconds between two runs of a job


@dataclass(frozen=True)
class Counts:
    """How far it is."""

    messages: int
    ready: int
    waiting: int
    busy: int


def hurry(db: psycopg.Connection) -> None:
    """Let jobs be due often, so that there is always something to kill."""
    db.execute("UPDATE scheduled_jobs SET cadence_seconds = %s WHERE job_type <> 'chatwoot_reconcile'", [OFTEN])


def announce(db: psycopg.Connection) -> None:
    """Something was written: what read well lately is due again, as it would be after Chatwoot's webhook."""
    db.execute("UPDATE scheduled_jobs SET next_run_at = now() WHERE job_type = 'chatwoot_sync' AND last_status = 'ok'")


def slow_down(db: psycopg.Connection) -> None:
    """Let jobs that end well be due seldom, so that there is an end."""
    db.execute("UPDATE scheduled_jobs SET cadence_seconds = %s WHERE job_type <> 'chatwoot_reconcile'", [SELDOM])


def counts(db: psycopg.Connection) -> Counts:
    """How far it is in all projects."""
    row = db.execute(
        "SELECT (SELECT count(*) FROM cw_messages),"
        " (SELECT count(*) FROM rag_chunks WHERE embedding_status = 'ready'),"
        " (SELECT count(*) FROM rag_chunks WHERE embedding_status IN ('pending', 'processing')),"
        " (SELECT count(*) FROM worker_runs WHERE status IN ('queued', 'running'))"
    ).fetchone()
    assert row is not None
    return Counts(*row)


def complete(db: psycopg.Connection, world: World) -> bool:
    """Whether everything that was written is stored, cut and embedded."""
    here = counts(db)
    return (here.messages, here.waiting) == (world.written, 0) and here.ready > 0 and not _uncut(db)


def idle(db: psycopg.Connection, *, hasty: bool) -> bool:
    """Whether nobody has anything to do; `hasty`: apart from what the queue still lists for workers that are dead."""
    return _number(db, HELD if hasty else LEFT) == 0 and counts(db).busy == 0


LEFT = "SELECT count(*) FROM procrastinate_jobs"
HELD = LEFT + " WHERE status <> 'doing'"


def at_work(db: psycopg.Connection) -> set[int]:
    """Return the process ids of the workers that have executed a run, some of them gone by now."""
    runners = db.execute("SELECT DISTINCT runner FROM worker_runs WHERE runner IS NOT NULL").fetchall()
    return {int(runner.split(":")[1]) for (runner,) in runners}


def wrong(db: psycopg.Connection, world: World, *, hasty: bool) -> list[str]:
    """Whatever is missing, doubled or stuck."""
    found = [line for account in world.accounts for line in _of_account(db, world, account)]
    for said, query in {**STUCK, "jobs are left in the queue": HELD if hasty else LEFT}.items():
        if number := _number(db, query):
            found.append(f"{number} {said}")
    return found


STUCK = {
    "runs are still under way": "SELECT count(*) FROM worker_runs WHERE status IN ('queued', 'running')",
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
    "conversations are not cut": "SELECT count(*) FROM cw_conversations WHERE content_version <> chunked_version",
    "conversations are not indexed": "SELECT count(*) FROM cw_conversations WHERE content_version <> indexed_version",
    "things are in quarantine": "SELECT count(*) FROM sync_quarantine",
}


def show(db: psycopg.Connection, world: World, crew: Crew, seconds: float) -> None:
    """The numbers."""
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
        *((f"faults: {service}, {kind}", struck) for service, kind, struck in world.served()),
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
        found.append(f"account {account}: {len(strange)} messages are not as over there, such as {min(strange)[0]}")
    if len(ours) != len(set(ours)):
        found.append(f"account {account}: {len(ours) - len(set(ours))} messages are stored twice")
    uncovered = _number(db, _UNCOVERED, world.accounts[account])
    return [*found, f"account {account}: {uncovered} messages with text are in no chunk"] if uncovered else found


_UNCOVERED = """
    SELECT count(*) FROM cw_messages m
    WHERE project_id = %s AND message_type IN ('incoming', 'outgoing') AND char_length(btrim(content)) >= 30
      AND NOT EXISTS (SELECT FROM rag_chunks k WHERE k.project_id = m.project_id AND m.message_id = ANY (k.covers))"""


def _uncut(db: psycopg.Connection) -> int:
    return _number(db, STUCK["conversations are not cut"]) + _number(db, STUCK["conversations are not indexed"])


def _number(db: psycopg.Connection, query: Any, *values: object) -> int:
    row = db.execute(query, values or None).fetchone()
    assert row is not None
    return row[0]
