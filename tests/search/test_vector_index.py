"""The vector index of a project is built when it has many vectors, used by search, and dropped when it has few."""

import asyncio

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from psycopg import sql

from proofdesk.database import vector_indexes
from proofdesk.database.pool import Database
from proofdesk.indexing import vector_index
from proofdesk.projects.scope import Scope
from proofdesk.search import queries, semantic_queries
from proofdesk.search.queries import FilterParams, QueryVector
from tests.support.many_vectors import DIMENSION, put
from tests.support.near import fetch_nearest
from tests.support.plans import explained
from tests.support.projects import new_project

MANY = 400


@pytest.fixture(autouse=True)
def a_few_are_many(monkeypatch: pytest.MonkeyPatch, owner_conn: psycopg.Connection):
    monkeypatch.setattr(vector_index, "BUILD_FROM", MANY)
    monkeypatch.setattr(vector_index, "KEEP_FROM", MANY // 2)
    yield
    for (name,) in owner_conn.execute("SELECT indexname FROM pg_indexes WHERE indexname ~ '^rag_vectors_[0-9a-f]{32}'"):
        owner_conn.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))


@pytest.fixture
def vectors() -> np.ndarray:
    """Return vectors around a few directions, as they are stored."""
    random = np.random.default_rng(3)
    centres = random.standard_normal((20, DIMENSION))[random.integers(0, 20, MANY)]
    return (centres + 0.3 * random.standard_normal((MANY, DIMENSION))).astype(np.float16)


async def test_growing_project_gets_a_vector_index_that_search_uses(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "one", vectors[:-1])
    assert await vector_index.maintain_index(db, database_url, project) == vector_index.VectorIndexChanges()
    assert await used(database_url, project, "one", vectors[0]) == set()
    put(owner_conn, project, "one", vectors[-1:], first=MANY)
    tended = await vector_index.maintain_index(db, database_url, project)
    name = vector_indexes.index_name(project.project_id, "one")
    assert tended == vector_index.VectorIndexChanges(built=[name])
    (options,) = owner_conn.execute("SELECT reloptions FROM pg_class WHERE relname = %s", [name]).fetchone() or ((),)
    assert options == [f"ef_construction={vector_indexes.EF_CONSTRUCTION}"], "with fewer, some vectors are out of reach"
    assert await used(database_url, project, "one", vectors[0]) == {name}
    assert await vector_index.maintain_index(db, database_url, project) == vector_index.VectorIndexChanges()


async def test_vector_index_finds_the_same_as_exact_comparison(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "one", vectors)
    await vector_index.maintain_index(db, database_url, project)
    stored = vectors.astype(np.float64)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    for asked in range(0, MANY, 20):
        exact = set(np.argsort(-(stored @ stored[asked]))[:10].tolist())
        async with db.scoped(project, queries.transaction_settings(100, False)) as conn:
            model = QueryVector("one", DIMENSION, HalfVector(vectors[asked].tolist()))
            await semantic_queries.store_nearest_by_index(conn, project, model, FilterParams(), 10)
            near = await fetch_nearest(conn)
        assert {conversation - 1 for _, conversation, _ in near} == exact


async def test_model_name_with_percent_sign_uses_its_index(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "50%s", vectors)
    (name,) = (await vector_index.maintain_index(db, database_url, project)).built
    assert await used(database_url, project, "50%s", vectors[0]) == {name}


async def test_index_is_dropped_when_the_project_has_shrunk_enough(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "one", vectors)
    (name,) = (await vector_index.maintain_index(db, database_url, project)).built
    owner_conn.execute("DELETE FROM rag_vectors WHERE message_id > %s", [MANY // 2])
    assert await vector_index.maintain_index(db, database_url, project) == vector_index.VectorIndexChanges()
    owner_conn.execute("DELETE FROM rag_vectors WHERE message_id = 1")
    assert await vector_index.maintain_index(db, database_url, project) == vector_index.VectorIndexChanges(
        dropped=[name]
    )
    assert await used(database_url, project, "one", vectors[5]) == set()


async def test_old_index_serves_while_a_new_model_is_built(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "old", vectors)
    (old,) = (await vector_index.maintain_index(db, database_url, project)).built
    put(owner_conn, project, "new", vectors, complete=False)
    assert await vector_index.maintain_index(db, database_url, project) == vector_index.VectorIndexChanges()
    assert await used(database_url, project, "old", vectors[0]) == {old}
    owner_conn.execute("UPDATE rag_models SET complete_at = now()")
    owner_conn.execute("DELETE FROM rag_vectors WHERE model = 'old'")
    owner_conn.execute("DELETE FROM rag_models WHERE model = 'old'")
    tended = await vector_index.maintain_index(db, database_url, project)
    new = vector_indexes.index_name(project.project_id, "new")
    assert (tended.built, tended.dropped) == ([new], [old])


async def test_abandoned_index_is_built_again(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    """A server that stopped during the build leaves an invalid index, and search does not use it."""
    put(owner_conn, project, "one", vectors)
    (name,) = (await vector_index.maintain_index(db, database_url, project)).built
    owner_conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])
    assert await used(database_url, project, "one", vectors[0]) == set()
    assert await vector_index.maintain_index(db, database_url, project) == vector_index.VectorIndexChanges(
        [name], [name]
    )
    assert await used(database_url, project, "one", vectors[0]) == {name}


async def test_concurrent_maintenance_builds_one_index(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "one", vectors)
    done = await asyncio.gather(*(vector_index.maintain_index(db, database_url, project) for _ in range(3)))
    assert [d.error for d in done] == [None, None, None]
    assert sum(len(d.built) for d in done) == 1
    assert [index.valid for index in await indexes(db, project)] == [True]


async def test_refused_index_is_reported_and_search_continues(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    put(owner_conn, project, "one", vectors)
    owner_conn.execute("DROP ROLE IF EXISTS nobody_special")
    owner_conn.execute("CREATE ROLE nobody_special LOGIN")
    tended = await vector_index.maintain_index(db, database_url.replace("postgres:@", "nobody_special:@"), project)
    assert tended.error is not None and "owner" in tended.error
    assert await used(database_url, project, "one", vectors[0]) == set()


async def test_vector_index_holds_one_project_only(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection, vectors: np.ndarray
):
    other = await new_project(db, "Other")
    for scope in (project, other):
        put(owner_conn, scope, "one", vectors)
        await vector_index.maintain_index(db, database_url, scope)
    for scope in (project, other):
        assert await used(database_url, scope, "one", vectors[0]) == {
            vector_indexes.index_name(scope.project_id, "one")
        }
    async with db.scoped(project) as conn:
        model = QueryVector("one", DIMENSION, HalfVector(vectors[0].tolist()))
        await semantic_queries.store_nearest(conn, other, model, FilterParams(), 10)
        assert await fetch_nearest(conn) == []


async def used(database_url: str, scope: Scope, model: str, vector: np.ndarray) -> set[str]:
    """Return the vector indexes that a vector search uses."""
    async with explained(database_url, scope, queries.transaction_settings(100, False)) as (conn, plans):
        asked = QueryVector(model, DIMENSION, HalfVector(vector.tolist()))
        await semantic_queries.store_nearest_by_index(conn, scope, asked, FilterParams(), 10)
        indexes = await plans.indexes()
        assert await fetch_nearest(conn)
        return {name for name in indexes if name.startswith(f"rag_vectors_{scope.project_id.hex}")}


async def indexes(db: Database, scope: Scope) -> list[vector_indexes.VectorIndex]:
    async with db.scoped(scope) as conn:
        return await vector_indexes.list_indexes(conn, scope.project_id)
