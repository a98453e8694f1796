"""One project with a great backlog does not keep the others waiting: counted in batches, not in seconds."""

import asyncio
import dataclasses
from collections.abc import Sequence
from uuid import UUID

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk.indexing.embeddings.provider import Vector
from proofdesk.jobs import catalog, runs, worker
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.time_slices import MIN_STEPS
from proofdesk.projects.scope import Scope
from tests.support import stories
from tests.support.embedding import DIMENSION
from tests.support.projects import new_project

BACKLOG = 240


class Counting:
    """A model that embeds one text a request and remembers whose it was."""

    name, dimension, max_batch = "counting", DIMENSION, 1
    learned_max_texts: int | None = None

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        self.texts += texts
        await asyncio.sleep(0)
        return [[0.1] * DIMENSION for _ in texts]

    async def embed_query(self, text: str) -> Vector:
        return [0.1] * DIMENSION

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_small_projects_finish_while_a_large_one_runs(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection, concurrency: int
):
    model = Counting()
    settings = resources.settings.model_copy(
        update={"worker_concurrency": concurrency, "embed_concurrency": 1, "min_embed_chars": 0}
    )
    working = dataclasses.replace(resources, provider=model, settings=settings)
    _write(owner_conn, project.project_id, "great", BACKLOG)
    requested = [(await runs.request(db, project, catalog.EMBED.name, "manual")).run.id]
    small: dict[str, Scope] = {}
    for number in range(9):
        small[f"small{number}"] = other = await new_project(db, f"Small {number}")
        _write(owner_conn, other.project_id, f"small{number}", 2)
        requested.append((await runs.request(db, other, catalog.EMBED.name, "manual")).run.id)
    await worker.run_worker(working, drain=True)

    whose = [next(w for w in text.split() if w.startswith(("great", "small"))) for text in model.texts]
    last_small = max(i for i, who in enumerate(whose) if who != "great")
    # With one place, the great one has one turn before all the others; with two, it never leaves the second.
    assert whose[: last_small + 1].count("great") <= MIN_STEPS * concurrency * 2
    assert whose.count("great") == BACKLOG and all(whose.count(name) == 2 for name in small)
    great = await runs.get(db, project, requested[0])
    assert (great.status, great.attempt, great.processed_count) == ("ok", 1, BACKLOG)
    assert great.meta["result"]["processed"] == BACKLOG
    told = great.progress or {}
    assert (told["done"], told["total"], told["unit"]) == (BACKLOG, BACKLOG, "chunks")
    assert len(await runs.list_latest(db, project)) == 1, "a run is one row of history, however many turns it had"


async def test_only_project_is_not_interrupted(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    _write(owner_conn, project.project_id, "great", 3 * MIN_STEPS)
    requested = await runs.request(db, project, catalog.EMBED.name, "manual")
    before = owner_conn.execute("SELECT max(id) FROM procrastinate_jobs").fetchone()
    await worker.run_worker(dataclasses.replace(resources, provider=Counting()), drain=True)
    assert (await runs.get(db, project, requested.run.id)).status == "ok"
    after = owner_conn.execute("SELECT last_value FROM procrastinate_jobs_id_seq").fetchone()
    assert after == before, "it was one job of the queue, from its beginning to its end"


def _write(conn: psycopg.Connection, project_id: UUID, word: str, many: int) -> None:
    """So many conversations of a message each."""
    for number in range(many):
        said = [
            stories.StoryMessage("contact", "Amina Okafor", f"{word} asks where the parcel number {number} has got to.")
        ]
        stories._conversation(conn, project_id, 200 + number, 1, 200 + number, "open", [], said)
