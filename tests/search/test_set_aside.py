"""A conversation that fails in a stage is quarantined with the reason; all others pass every stage."""

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg
import pytest

from proofdesk.chatwoot import sync
from proofdesk.indexing import documents, transcript_queries, vectors
from proofdesk.indexing.chunking import chunker
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from tests.support.embedding import local_model
from tests.support.search_desk import Desk

LIMITS = ChunkLimits(1000, 30)
WORDS = ("parcel", "invoice", "jacket", "refund", "crash", "lantern", "bicycle")
BAD = 4  # the conversation with the failure: "refund"
TRIGGER = """
    CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.{refused} THEN RAISE 'planted refusal' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$;
    CREATE TRIGGER planted BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION planted()"""


class Failure:
    """Install a trigger that refuses one value."""

    def __init__(self, conn: psycopg.Connection):
        self._conn = conn

    def plant(self, state: str, table: str, refused: str) -> None:
        self._conn.execute(TRIGGER.format(table=table, refused=refused, state=state).encode())

    def mend(self) -> None:
        self._conn.execute("DROP FUNCTION IF EXISTS planted() CASCADE")


@pytest.fixture
def failure(owner_conn: psycopg.Connection) -> Iterator[Failure]:
    planted = Failure(owner_conn)
    yield planted
    planted.mend()


@pytest.fixture
async def seven(desk: Desk) -> Desk:
    for word in WORDS:
        await desk.talk(f"Good morning, I have a question about the {word} that I bought from you in March")
    return desk


async def findable(desk: Desk, mode: str = "text") -> list[int]:
    """Return the conversations that rank first for their own word."""
    found = [await desk.found(word, mode) for word in WORDS]
    return [number for number, numbers in enumerate(found, 1) if number in numbers[:1]]


async def everything_but(desk: Desk, *missing: int, mode: str = "text") -> None:
    assert await findable(desk, mode) == [n for n in range(1, len(WORDS) + 1) if n not in missing]


async def waits(desk: Desk, entity: str, reason: str, attempts: int) -> None:
    waiting = await sync.summarize_quarantine(desk.db, desk.scope)
    assert waiting.count == 1
    (item,) = waiting.longest
    assert (item.entity, item.entity_id, item.conversation_id, item.attempts) == (entity, str(BAD), BAD, attempts)
    assert reason in item.reason


@pytest.mark.parametrize("state", ["22003", "23514", "54000"])
async def test_refused_chunks_are_quarantined_alone(seven: Desk, failure: Failure, state: str):
    failure.plant(state, "rag_chunks", "text LIKE '%refund%'")
    for attempt in (1, 2):
        cut = await index_conversations(seven.db, seven.scope, LIMITS)
        assert (cut.conversations, cut.set_aside) == ((7, 1) if attempt == 1 else (1, 1))
        await waits(seven, "chunks", "planted refusal", attempt)
    await seven.ready()
    await everything_but(seven, BAD, mode="semantic")
    failure.mend()
    assert (await index_conversations(seven.db, seven.scope, LIMITS)).set_aside == 0
    assert (await sync.summarize_quarantine(seven.db, seven.scope)).count == 0
    await seven.ready()
    await everything_but(seven, mode="semantic")


async def test_conversation_quarantined_meanwhile_is_not_tried_again(
    seven: Desk, failure: Failure, monkeypatch: pytest.MonkeyPatch
):
    failure.plant("22003", "rag_chunks", "text LIKE '%refund%'")
    lock_stale, calls, first_is_stored = transcript_queries.lock_stale, count(1), asyncio.Event()

    async def delayed(*values: Any):
        number = next(calls)
        if number == 2:  # the query of the second batch, sent before the first batch quarantines
            await first_is_stored.wait()
        elif number == 3:
            first_is_stored.set()
        return await lock_stale(*values)

    monkeypatch.setattr(transcript_queries, "lock_stale", delayed)
    totals = await index_conversations(seven.db, seven.scope, LIMITS)
    assert (totals.conversations, totals.set_aside) == (7, 1)


@pytest.mark.parametrize("state", ["22003", "23514", "54000"])
async def test_refused_terms_are_quarantined_alone(seven: Desk, failure: Failure, state: str):
    failure.plant(state, "search_postings", "term LIKE '%refund%'")
    await seven.ready()
    await waits(seven, "terms", "planted refusal", 1)
    await everything_but(seven, BAD)
    failure.mend()
    await index_conversations(seven.db, seven.scope, LIMITS)
    assert (await sync.summarize_quarantine(seven.db, seven.scope)).count == 0
    await everything_but(seven)


async def test_conversation_that_breaks_chunking_is_quarantined_alone(seven: Desk, monkeypatch: pytest.MonkeyPatch):
    split = chunker.split_transcript

    def breaking(said, *rest):
        if any("refund" in message.content for message in said):
            raise RecursionError("too deep")
        return split(said, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(chunker, "split_transcript", breaking)
        await seven.ready()
        await waits(seven, "chunks", "Unexpected RecursionError in test_set_aside.py, line", 1)
        await everything_but(seven, BAD, mode="semantic")
    await seven.ready()
    assert (await sync.summarize_quarantine(seven.db, seven.scope)).count == 0
    await everything_but(seven, mode="semantic")


async def test_conversation_that_breaks_the_tokenizer_is_quarantined_alone(
    seven: Desk, monkeypatch: pytest.MonkeyPatch
):
    build = documents.build_document

    def breaking(messages, identity):
        if any(message.conversation_id == BAD for message in messages):
            raise ValueError("odd \0 word")
        return build(messages, identity)

    with monkeypatch.context() as patch:
        patch.setattr(documents, "build_document", breaking)
        await seven.ready()
        await waits(seven, "terms", "ValueError", 1)
        await everything_but(seven, BAD)
    await seven.ready()
    assert (await sync.summarize_quarantine(seven.db, seven.scope)).count == 0
    await everything_but(seven)


async def test_broken_installation_fails_the_run(seven: Desk, monkeypatch: pytest.MonkeyPatch):
    def broken(*_):
        raise ImportError("snowballstemmer")

    monkeypatch.setattr(documents, "build_document", broken)
    with pytest.raises(ImportError):
        await index_conversations(seven.db, seven.scope, LIMITS)
    assert (await sync.summarize_quarantine(seven.db, seven.scope)).count == 0


async def test_refused_vector_fails_its_chunk_only(seven: Desk, failure: Failure):
    await seven.ready(embed=False)
    failure.plant("54000", "rag_vectors", f"message_id / 100 = {BAD}")
    done = await vectors.embed_pending(seven.db, seven.scope, local_model(), vectors.EmbeddingOptions())
    assert (done.processed, done.failed, done.pending) == (6, 1, 0)
    rows = await seven.rows("SELECT conversation_id, error FROM rag_chunks WHERE embedding_status = 'failed'")
    assert rows == [(BAD, "planted refusal")]
    assert set(await findable(seven, "semantic")) >= {1, 2, 3, 5, 6, 7}
    failure.mend()
    assert await vectors.retry_failed(seven.db, seven.scope) == 1
    await seven.ready()
    await everything_but(seven, mode="semantic")
