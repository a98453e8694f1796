"""Decides which vector indexes a project has: one per served model, and none while comparing all vectors is as fast.

An index holds the vectors of one project and one model, so that a search does not meet those of other projects. The
planner uses it because the search statement names both. It is built when the model is complete: building an index from
stored vectors costs less than adding each vector to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from proofdesk import logging
from proofdesk.database import vector_indexes
from proofdesk.database.pool import Database
from proofdesk.database.vector_indexes import VectorIndex
from proofdesk.indexing import vector_index_queries as queries
from proofdesk.indexing.vector_index_queries import ServedModel
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

BUILD_FROM = 2000  # vectors
KEEP_FROM = 1000  # with fewer the index is dropped; the gap keeps a project of constant size from rebuilding


@dataclass(frozen=True)
class VectorIndexChanges:
    """Names of the indexes that were built and dropped, and the error that interrupted this."""

    built: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True)
class _Plan:
    build: list[ServedModel]
    drop: list[str]


async def maintain_index(db: Database, owner_url: str, scope: Scope) -> VectorIndexChanges:
    """Build the missing indexes of a project and drop those that are invalid, too small or of other models.

    Search goes on meanwhile and compares all vectors while there is no index. `owner_url` is the URL of the owner of
    the tables. An error of the database is returned in `error`; the next call tries again.
    """
    plan = await _plan(db, scope)
    if not plan.build and not plan.drop:
        return VectorIndexChanges()
    built: list[str] = []
    dropped: list[str] = []
    try:
        async with vector_indexes.index_connection(owner_url) as conn:
            plan = await _plan(db, scope)  # another process may have built it meanwhile
            for name in plan.drop:
                await vector_indexes.drop_index(conn, name)
                dropped.append(name)
            for served in plan.build:
                await vector_indexes.build_index(conn, scope.project_id, served.model, served.dimension, served.vectors)
                built.append(vector_indexes.index_name(scope.project_id, served.model))
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0]
        log.warning("vector index not changed", project_id=str(scope.project_id), error=reason)
        return VectorIndexChanges(built, dropped, reason)
    return VectorIndexChanges(built, dropped)


async def missing_indexes(db: Database, scope: Scope) -> list[ServedModel]:
    """Return the models whose vectors should have an index and have no valid one."""
    return (await _plan(db, scope)).build


async def _plan(db: Database, scope: Scope) -> _Plan:
    async with db.scoped(scope) as conn:
        served = await queries.list_served_models(conn, scope)
        existing = await vector_indexes.list_indexes(conn, scope.project_id)
    return _compare(scope, served, existing)


def _compare(scope: Scope, served: Sequence[ServedModel], existing: Sequence[VectorIndex]) -> _Plan:
    valid = {index.name for index in existing if index.valid}
    by_name = {vector_indexes.index_name(scope.project_id, model.model): model for model in served}
    keep = {name for name, model in by_name.items() if name in valid and model.vectors >= KEEP_FROM}
    build = [model for name, model in by_name.items() if name not in keep and model.vectors >= BUILD_FROM]
    return _Plan(build, [index.name for index in existing if index.name not in keep])
