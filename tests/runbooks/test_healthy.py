"""Where nothing is wrong, nothing is found; and looking changes nothing."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from proofdesk.runbooks import registry
from tests.runbooks.house import House

SLUGS = [runbook.slug for runbook in registry.list_runbooks()]


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_healthy_house_has_no_fault(house: House, slug: str):
    found = await house.look(slug)
    assert [(c.id, c.status, c.observed) for c in found.checks if c.status in ("fail", "warn")] == []
    assert (found.verdict, found.cause, found.fixes) == ("ok", None, ())


async def test_looking_changes_nothing(house: House):
    before = _versions(house.conn)
    for slug in SLUGS:
        await house.look(slug)
    assert _versions(house.conn) == before


def _versions(conn: psycopg.Connection) -> dict[str, Any]:
    """Every row of every table with the transaction that wrote it."""
    tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    count = sql.SQL("SELECT count(*), coalesce(string_agg(xmin::text, ',' ORDER BY ctid), '') FROM {}")
    return {name: conn.execute(count.format(sql.Identifier(name))).fetchone() for (name,) in tables}
