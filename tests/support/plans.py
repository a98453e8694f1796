"""The plans of executed statements, as auto_explain reports them."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from proofdesk.database.pool import APP_ROLE, NO_SETTINGS
from proofdesk.database.rows import Conn
from proofdesk.projects.scope import Scope


class Plans:
    """The plans of statements since the last call."""

    def __init__(self, conn: Conn) -> None:
        self._conn = conn
        self._seen: list[dict[str, Any]] = []

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        """Collect the plan of an auto_explain notice."""
        _, found, plan = (notice.message_primary or "").partition("plan:\n")
        if found:
            self._seen.append(json.loads(plan)["Plan"])

    async def nodes(self) -> list[dict[str, Any]]:
        """Return every node of the plans since the last call."""
        await self._conn.execute("SELECT")  # a plan is reported when the next statement starts
        seen, self._seen = self._seen, []
        return [node for plan in seen for node in _nodes(plan)]

    async def indexes(self) -> set[str]:
        """Return the names of the indexes that were used since the last call."""
        return {node["Index Name"] for node in await self.nodes() if "Index Name" in node}


@asynccontextmanager
async def explained(
    owner_url: str, scope: Scope, settings: Mapping[str, object] = NO_SETTINGS
) -> AsyncIterator[tuple[Conn, Plans]]:
    """Yield an application connection in a transaction of the project, and the plans of its statements."""
    conn = await psycopg.AsyncConnection.connect(owner_url, autocommit=True)
    plans = Plans(conn)
    async with conn:
        await conn.execute("LOAD 'auto_explain'")
        for setting in (
            "log_min_duration = 0",
            "log_analyze = on",
            "log_timing = off",
            "log_format = json",
            "log_level = notice",
            "log_nested_statements = on",
        ):
            await conn.execute(f"SET auto_explain.{setting}".encode())
        await conn.execute(f"SET ROLE {APP_ROLE}".encode())
        conn.add_notice_handler(plans.hear)
        async with conn.transaction(force_rollback=True):
            for name, value in {"proofdesk.project_id": scope.project_id, **settings}.items():
                await conn.execute("SELECT set_config(%s, %s, true)", [name, str(value)])
            await plans.nodes()
            yield conn, plans


def rows_read(nodes: list[dict[str, Any]]) -> Counter[str]:
    """Return how many rows of each table were read, including those that a filter removed."""
    read = Counter[str]()
    for node in nodes:
        if "Relation Name" in node:
            left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read[node["Relation Name"]] += round((node["Actual Rows"] + left_out) * node["Actual Loops"])
    return read


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)
