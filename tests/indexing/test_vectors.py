import asyncio
import time
from dataclasses import replace

import pytest
from pgvector import HalfVector

from proofdesk.database.pool import Database
from proofdesk.indexing import vector_queries, vectors
from proofdesk.indexing.embeddings import batches
from proofdesk.indexing.embeddings.batches import RetryPolicy
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.indexing.embeddings.provider import EmbeddingProvider, ProviderBusy, ProviderFailed
from proofdesk.indexing.incremental import index_conversations
from proofdesk.indexing.vector_queries import ChunkCounts
from proofdesk.projects.scope import Scope
from proofdesk_simulators.openai import OpenAISimulator
from tests.support.embedding import HOME, LIMITS, OPTIONS, local_model
from tests.support.projects import new_project
from tests.support.transcripts import Line, edit_message, fetch_rows, store_messages

MODEL = "openai:text-embedding-3-small@256"


async def embed(db: Database, scope: Scope, provider: EmbeddingProvider, **values) -> vectors.EmbeddingTotals:
    return await vectors.embed_pending(db, scope, provider, OPTIONS, vectors.EmbeddingControl(**values))


async def models(db: Database, scope: Scope) -> dict[str, int]:
    return dict(await fetch_rows(db, scope, "SELECT model, count(*) FROM rag_vectors GROUP BY 1"))


async def test_all_pending_chunks_are_embedded(db: Database, project: Scope, provider, simulator, ten_texts):
    reports = []
    done = await embed(db, project, provider, report=lambda *report: reports.append(report))
    assert (done.processed, done.failed, done.model, done.status) == (10, 0, MODEL, "ok")
    assert await vectors.count_chunks(db, project) == ChunkCounts(0, 0, 10, 0)
    assert await models(db, project) == {MODEL: 10}
    assert reports[-1] == (10, 10, "chunks")
    assert [entry.texts for entry in simulator.requests] == [4, 4, 2]


async def test_the_nearest_vector_is_that_of_the_query(db: Database, project: Scope, provider, ten_texts):
    await embed(db, project, provider)
    ((context,),) = await fetch_rows(db, project, "SELECT context FROM rag_chunks WHERE conversation_id = 7")
    query = HalfVector(list(await provider.embed_query(f"{context}\n{ten_texts[6]}")))
    (nearest, *_) = await fetch_rows(
        db,
        project,
        "SELECT message_id, embedding <=> %s::halfvec FROM rag_vectors ORDER BY 2",
        query,
    )
    assert nearest[0] == 700 and nearest[1] == pytest.approx(0, abs=1e-3)


async def test_a_limit_embeds_the_newest_chunks(db: Database, project: Scope, provider, ten_texts):
    done = await embed(db, project, provider, limit=5)
    assert (done.processed, done.status) == (5, "pending")
    ready = await fetch_rows(
        db, project, "SELECT conversation_id FROM rag_chunks WHERE embedding_status = 'ready' ORDER BY 1"
    )
    assert [number for (number,) in ready] == [6, 7, 8, 9, 10]


async def test_a_run_without_chunks_succeeds(db: Database, project: Scope, provider, simulator):
    assert (await embed(db, project, provider)).status == "ok"
    assert not simulator.requests


async def test_two_workers_embed_each_chunk_once(db: Database, project: Scope, provider, simulator, ten_texts):
    done = await asyncio.gather(*[embed(db, project, provider) for _ in range(2)])
    assert sum(each.processed for each in done) == 10
    assert sorted(simulator.embedded.values()) == [1] * 10


async def test_claims_of_a_lost_worker_are_requeued(db: Database, project: Scope, provider, owner_conn, ten_texts):
    async with db.scoped(project) as conn:
        assert len(await vector_queries.claim_chunks(conn, project, 3)) == 3
    assert (await embed(db, project, provider)).processed == 7
    assert await vectors.count_chunks(db, project) == ChunkCounts(0, 3, 7, 0)
    owner_conn.execute("UPDATE rag_chunks SET claimed_at = claimed_at - interval '31 min' WHERE claimed_at IS NOT NULL")
    assert (await embed(db, project, provider)).processed == 3


async def test_a_chunk_fails_after_too_many_lost_claims(db: Database, project: Scope, provider, owner_conn, ten_texts):
    owner_conn.execute(
        "UPDATE rag_chunks SET embedding_status = 'processing', attempts = 3, claimed_at = now() - interval '1 day'"
        " WHERE conversation_id = 1"
    )
    await embed(db, project, provider)
    ((error,),) = await fetch_rows(db, project, "SELECT error FROM rag_chunks WHERE embedding_status = 'failed'")
    assert "3 times" in error
    assert await vectors.count_chunks(db, project) == ChunkCounts(0, 0, 9, 1)


async def test_a_late_worker_changes_nothing(db: Database, project: Scope, provider, owner_conn, ten_texts):
    async with db.scoped(project) as conn:
        late = await vector_queries.claim_chunks(conn, project, 2)
    owner_conn.execute("UPDATE rag_chunks SET claimed_at = claimed_at - interval '1 day' WHERE claimed_at IS NOT NULL")
    await embed(db, project, provider)
    async with db.scoped(project) as conn:
        settled = await vector_queries.settle_chunks(
            conn, project, "old:model", late, [batches.EmbeddingOutcome(HalfVector([1, 2]))] * 2
        )
        assert await vector_queries.release_chunks(conn, project, late) == 0
    assert settled == vector_queries.SettledCounts(0, 0)
    assert await models(db, project) == {MODEL: 10}


async def test_a_text_that_changes_during_embedding_is_pending(
    db: Database, project: Scope, provider, simulator: OpenAISimulator, ten_texts
):
    loop = asyncio.get_running_loop()
    changed = "A different question: do you have gloves that go with it?"

    async def change() -> None:
        await edit_message(db, project, 1000, changed)
        await index_conversations(db, project, LIMITS)

    def once(texts: list[str]) -> None:  # runs in the server's thread, while the batch waits for its answer
        simulator.on_request = None
        asyncio.run_coroutine_threadsafe(change(), loop).result(5)

    simulator.on_request = once
    done = await embed(db, project, provider, limit=4)
    assert done.processed == 3
    assert await vectors.count_chunks(db, project) == ChunkCounts(7, 0, 3, 0)
    assert 1000 not in [number for (number,) in await fetch_rows(db, project, "SELECT message_id FROM rag_vectors")]
    await embed(db, project, provider)
    assert any(text.endswith(changed) for text in simulator.embedded)


async def test_a_refused_text_fails_with_its_reason(db: Database, project: Scope, provider, simulator, ten_texts):
    await edit_message(db, project, 300, "This text has [[refuse]] in it, which the provider does not take.")
    await index_conversations(db, project, LIMITS)
    done = await embed(db, project, provider)
    assert (done.processed, done.failed, done.status) == (9, 1, "ok")
    failed = await fetch_rows(db, project, "SELECT message_id, error FROM rag_chunks WHERE embedding_status = 'failed'")
    assert [number for number, _ in failed] == [300] and "(400)" in failed[0][1]


async def test_failed_chunks_are_retried_on_request(db: Database, project: Scope, provider, simulator, ten_texts):
    simulator.switches.bad_text = "number 3"
    await embed(db, project, provider)
    simulator.switches.bad_text = ""
    assert (await embed(db, project, provider)).processed == 0
    assert await vectors.retry_failed(db, project) == 1
    assert (await embed(db, project, provider)).processed == 1


async def test_a_wrong_setting_fails_no_chunk(db: Database, project: Scope, provider, simulator, ten_texts):
    simulator.fail("bad_request")
    with pytest.raises(ProviderFailed, match="refuses any text"):
        await embed(db, project, provider)
    assert await vectors.count_chunks(db, project) == ChunkCounts(10, 0, 0, 0)


@pytest.mark.parametrize("kind", ["rate_limit", "server_error", "cut"])
async def test_a_short_outage_is_retried(
    db: Database, project: Scope, provider, simulator: OpenAISimulator, ten_texts, kind
):
    simulator.fail(kind, times=2)
    assert (await embed(db, project, provider)).processed == 10


async def test_the_run_waits_as_long_as_the_provider_asks(
    db: Database, project: Scope, provider, simulator: OpenAISimulator, ten_texts
):
    simulator.fail("rate_limit", times=1, retry_after=0.2)
    await vectors.embed_pending(
        db, project, provider, replace(OPTIONS, concurrency=1), vectors.EmbeddingControl(limit=1)
    )
    first, second = simulator.requests
    assert second.at - first.at >= 0.2


async def test_too_long_a_wait_stops_the_run(db: Database, project: Scope, provider, simulator, ten_texts):
    simulator.fail("rate_limit", retry_after=3600)
    with pytest.raises(ProviderBusy, match="wait for 3600 seconds"):
        await embed(db, project, provider)
    assert await vectors.count_chunks(db, project) == ChunkCounts(10, 0, 0, 0)


@pytest.mark.parametrize("kind", ["rate_limit", "server_error", "cut"])
async def test_a_long_outage_stops_the_run(db: Database, project: Scope, provider, simulator, ten_texts, kind):
    simulator.fail(kind)
    with pytest.raises(ProviderBusy, match="Tried 3 times") as raised:
        await embed(db, project, provider)
    assert raised.value.details["batch_size"] == 4
    assert await vectors.count_chunks(db, project) == ChunkCounts(10, 0, 0, 0)
    assert await fetch_rows(db, project, "SELECT DISTINCT attempts FROM rag_chunks") == [(0,)]
    simulator.reset_controls()
    assert (await embed(db, project, provider)).processed == 10


async def test_a_text_that_crashes_the_provider_stops_no_other(
    db: Database, project: Scope, provider, simulator: OpenAISimulator, ten_texts
):
    simulator.fail("server_error", containing="number 3")
    done = await embed(db, project, provider)
    assert (done.processed, done.failed) == (9, 1)


@pytest.mark.parametrize("kind", ["insufficient_quota", "invalid_api_key", "forbidden", "page"])
async def test_permanent_failures_stop_the_run_at_once(
    db: Database, project: Scope, provider, simulator, ten_texts, kind
):
    simulator.fail(kind, skip=1)
    with pytest.raises(ProviderFailed):
        await vectors.embed_pending(db, project, provider, replace(OPTIONS, concurrency=1))
    assert len(simulator.requests) == 2
    assert await vectors.count_chunks(db, project) == ChunkCounts(6, 0, 4, 0)


async def test_vectors_of_another_length_stop_the_run(db: Database, project: Scope, provider, simulator, ten_texts):
    simulator.switches.dimension = 128
    with pytest.raises(ProviderFailed, match="vectors of 128 numbers, 256 are expected"):
        await embed(db, project, provider)
    assert await vectors.count_chunks(db, project) == ChunkCounts(10, 0, 0, 0)


async def test_a_cancelled_run_releases_its_claims(db: Database, project: Scope, provider, simulator, ten_texts):
    loop, requested = asyncio.get_running_loop(), asyncio.Event()
    simulator.fail("delay", delay=0.3)
    simulator.on_request = lambda texts: loop.call_soon_threadsafe(requested.set)
    run = asyncio.create_task(embed(db, project, provider))
    await requested.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await vectors.count_chunks(db, project) == ChunkCounts(10, 0, 0, 0)


async def test_other_projects_are_not_touched(db: Database, project: Scope, provider, simulator, ten_texts):
    other = await new_project(db, "Other")
    await store_messages(db, other, Line("A secret question about a red coat in size thirty-eight."))
    await index_conversations(db, other, LIMITS)
    await embed(db, project, provider)
    assert await vectors.count_chunks(db, other) == ChunkCounts(1, 0, 0, 0)
    assert not any("secret" in text for text in simulator.embedded)
    assert await vectors.retry_failed(db, other) == 0


async def test_vectors_of_a_deleted_message_are_deleted(db: Database, project: Scope, provider, ten_texts):
    await embed(db, project, provider)
    await edit_message(db, project, 300, "This message was deleted", deleted=True)
    await index_conversations(db, project, LIMITS)
    assert await models(db, project) == {MODEL: 9}


async def test_a_vector_of_zeros_is_refused(db: Database, project: Scope, ten_texts):
    class Zeros(LocalModel):
        async def embed_documents(self, texts):
            return [[0.0] * 384 for _ in texts]

    done = await vectors.embed_pending(db, project, Zeros(HOME), replace(OPTIONS, retry_policy=RetryPolicy(1)))
    assert (done.processed, done.failed) == (0, 10)


async def test_indexing_and_embedding_run_concurrently(db: Database, project: Scope, ten_texts):
    async def keep_editing(worker: int) -> None:
        for turn in range(8):
            for conversation in range(1, 11):
                text = f"Worker {worker} in round {turn} says that this is a question."
                await edit_message(db, project, conversation * 100, text)
            await index_conversations(db, project, LIMITS)

    async def keep_embedding() -> None:
        for _ in range(8):
            await vectors.embed_pending(db, project, local_model(), OPTIONS)

    await asyncio.gather(keep_editing(1), keep_editing(2), keep_embedding(), keep_embedding())
    await vectors.embed_pending(db, project, local_model(), OPTIONS)
    assert await vectors.count_chunks(db, project) == ChunkCounts(0, 0, 10, 0)


async def test_thousands_of_chunks_take_seconds(db: Database, project: Scope, provider, capsys):
    count = 2000
    lines = [
        Line(f"Question number {n}: when does the coat that I ordered in week {n % 52} arrive?") for n in range(50)
    ]
    for number in range(count // len(lines)):
        await store_messages(db, project, *lines, conversation_id=number + 1)
    started = time.perf_counter()
    indexed = await index_conversations(db, project, LIMITS)
    indexed_at = time.perf_counter()
    done = await vectors.embed_pending(db, project, provider, vectors.EmbeddingOptions())
    ended = time.perf_counter()
    with capsys.disabled():
        rates = count / (indexed_at - started), count / (ended - indexed_at)
        print("\nchunks per second: {:.0f} indexed, {:.0f} embedded".format(*rates))  # noqa: T201 - a measurement
    assert indexed.stored == done.processed == count
    assert ended - started < 30
