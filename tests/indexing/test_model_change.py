"""A change of the embedding model: search uses the old vectors until the new ones are complete."""

from proofdesk.database.pool import Database
from proofdesk.indexing import vector_queries, vectors
from proofdesk.indexing.embeddings import factory
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.projects.scope import Scope
from tests.support.embedding import OPTIONS, local_model, settings
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
