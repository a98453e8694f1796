"""Whether a project has an index over its vectors: not while it is small, since comparing all is exact and as quick.

An index holds the vectors of one project by one model, so that nobody else's stand in the way, and search finds it
because its statement names both. It is built when a model is served, not while its vectors are being made: adding to
an index costs more than making it from what is there.
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
KEEP_FROM = 1000  # below that it is dropped; a project that stays about the same size does not build and drop


@dataclass(frozen=True)
class VectorIndexChanges:
    """What was done: names of the indexes that were built and dropped, and why it could not be done to the end."""

    built: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True)
class _Plan:
    build: list[ServedModel]
    drop: list[str]


async def maintain_index(db: Database, owner_url: str, scope: Scope) -> VectorIndexChanges:
    """Build the index that the project should have, drop those that it should not: of other models, or given up.

    Search goes on meanwhile, comparing all vectors while there is no index. `owner_url` is that of the database's
    owner. A database that refuses is told in `error`; the next call tries again.
    """
    plan = await _plan(db, scope)
    if not plan.build and not plan.drop:
        return VectorIndexChanges()
    built: list[str] = []
    dropped: list[str] = []
    try:
        async with vector_indexes.index_connection(owner_url) as conn:
            plan = await _plan(db, scope)  # what was under way is done by now
            for name in plan.drop:
                await vector_indexes.drop_index(conn, name)
                dropped.append(name)
            for served in plan.build:
                await vector_indexes.build_index(conn, scope.project_id, served.model, served.dimension, served.vectors)
                built.append(vector_indexes.index_name(scope.project_id, served.model))
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0]
        log.warning("the index over vectors could not be changed", project_id=str(scope.project_id), error=reason)
        return VectorIndexChanges(built, dropped, reason)
    return VectorIndexChanges(built, dropped)


async def missing_indexes(db: Database, scope: Scope) -> list[ServedModel]:
    """The models whose vectors should have an index by now, and have none that can be used."""
    return (await _plan(db, scope)).build


async def _plan(db: Database, scope: Scope) -> _Plan:
    async with db.scoped(scope) as conn:
        served = await queries.list_served_models(conn, scope)
        existing = await vector_indexes.list_indexes(conn, scope.project_id)
    return _planned(scope, served, existing)


def _planned(scope: Scope, served: Sequence[ServedModel], existing: Sequence[VectorIndex]) -> _Plan:
    valid = {index.name for index in existing if index.valid}
    by_name = {vector_indexes.index_name(scope.project_id, one.model): one for one in served}
    keep = {name for name, one in by_name.items() if name in valid and one.vectors >= KEEP_FROM}
    build = [one for name, one in by_name.items() if name not in keep and one.vectors >= BUILD_FROM]
    return _Plan(build, [index.name for index in existing if index.name not in keep])
