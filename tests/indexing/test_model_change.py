"""A change of the embedding model: search uses the old vectors until the new ones are complete."""

import psycopg

from proofdesk.database import migrate
from proofdesk.database.pool import Database
from proofdesk.indexing import vector_queries, vectors
from proofdesk.indexing.embeddings import factory
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.indexing.vector_queries import ChunkCounts
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.results import SearchQuery
from tests.support.embedding import OPTIONS, local_model, settings
from tests.support.search_desk import SETTINGS
from tests.support.transcripts import fetch_rows

MODEL = "openai:text-embedding-3-small@256"


async def embed(db: Database, scope: Scope, provider: EmbeddingProvider, **values) -> vectors.EmbeddingTotals:
    return await vectors.embed_pending(db, scope, provider, OPTIONS, vectors.EmbeddingControl(**values))


async def serving(db: Database, scope: Scope, configured: str) -> str:
    async with db.scoped(scope) as conn:
        return await vector_queries.fetch_serving_model(conn, scope, configured)


async def models(db: Database, scope: Scope) -> dict[str, int]:
    return dict(await fetch_rows(db, scope, "SELECT model, count(*) FROM rag_vectors GROUP BY 1"))


async def test_search_uses_the_old_model_until_the_new_one_is_complete(
    db: Database, project: Scope, provider, ten_texts
):
    local = local_model()
    await embed(db, project, local)
    assert await serving(db, project, local.name) == local.name
    await embed(db, project, provider, limit=4)
    assert await serving(db, project, MODEL) == local.name
    assert await models(db, project) == {local.name: 10, MODEL: 4}
    await embed(db, project, provider)
    assert await serving(db, project, MODEL) == MODEL
    assert await models(db, project) == {MODEL: 10}
    assert await fetch_rows(db, project, "SELECT model FROM rag_models") == [(MODEL,)]


async def test_a_model_that_refuses_everything_keeps_the_old_one(
    db: Database, project: Scope, provider, simulator, ten_texts
):
    local = local_model()
    await embed(db, project, local)
    simulator.switches.bad_text = "number"
    assert (await embed(db, project, provider)).failed == 10
    assert await serving(db, project, MODEL) == local.name
    assert await models(db, project) == {local.name: 10}


async def test_search_uses_the_configured_model_before_any_is_complete(
    db: Database, project: Scope, provider, ten_texts
):
    await embed(db, project, provider, limit=2)
    assert await serving(db, project, MODEL) == MODEL


async def test_another_dimension_is_another_model(db: Database, project: Scope, provider, url, ten_texts):
    await embed(db, project, provider)
    full = factory.open_provider(settings(openai_api_key="k", openai_base_url=url))
    await embed(db, project, full)
    assert await fetch_rows(db, project, "SELECT model, vector_dims(embedding) FROM rag_vectors GROUP BY 1, 2") == [
        ("openai:text-embedding-3-small", 1536)
    ]
    await full.aclose()


async def test_upgrade_from_wordllama_embeds_all_chunks_again(
    db: Database, project: Scope, ten_texts, database_url: str, owner_conn: psycopg.Connection
):
    await store_vectors_of_wordllama(db, project)
    owner_conn.execute("DELETE FROM schema_migrations WHERE name = '0055_local_models.sql'")
    migrate.migrate(database_url)
    assert await vectors.count_chunks(db, project) == ChunkCounts(10, 0, 0, 0)
    answer = await results.search(db, project, local_model(), SETTINGS, SearchQuery("blue coat", mode="vector"))
    assert answer.diagnosis is not None and answer.diagnosis.code == "embeddings_missing"
    assert (await results.search(db, project, local_model(), SETTINGS, SearchQuery("blue coat"))).results
    await embed(db, project, local_model())
    assert await models(db, project) == {"local:e5-small": 10}
    answer = await results.search(db, project, local_model(), SETTINGS, SearchQuery("Jacken", mode="vector"))
    assert answer.results and answer.embedding_model == "local:e5-small"


async def store_vectors_of_wordllama(db: Database, scope: Scope) -> None:
    async with db.scoped(scope) as conn:
        await conn.execute(
            "UPDATE rag_chunks SET embedding_status = 'ready', embedding_model = 'local:wordllama-l2-256'"
        )
        await conn.execute(
            "INSERT INTO rag_models SELECT project_id, account_scope_id, 'local:wordllama-l2-256', 256, now()"
            " FROM rag_chunks LIMIT 1"
        )
        await conn.execute(
            "INSERT INTO rag_vectors SELECT project_id, account_scope_id, account_id, message_id, chunk_index,"
            " 'local:wordllama-l2-256', array_fill(0.1::real, ARRAY[256])::halfvec(256) FROM rag_chunks"
        )
