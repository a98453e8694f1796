"""Runbooks find nothing on a healthy installation, and change nothing."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from proofdesk.runbooks import registry
from tests.runbooks.installation import Installation

SLUGS = [runbook.slug for runbook in registry.list_runbooks()]


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_healthy_installation_has_no_findings(installation: Installation, slug: str):
    result = await installation.run(slug)
    assert [(c.id, c.status, c.observed) for c in result.checks if c.status in ("fail", "warn")] == []
    assert (result.verdict, result.cause, result.fixes) == ("ok", None, ())


async def test_runbooks_change_nothing(installation: Installation):
    before = _versions(installation.conn)
    for slug in SLUGS:
        await installation.run(slug)
    assert _versions(installation.conn) == before


def _versions(conn: psycopg.Connection) -> dict[str, Any]:
    """Return the transaction ids of all rows, by table."""
    tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    count = sql.SQL("SELECT count(*), coalesce(string_agg(xmin::text, ',' ORDER BY ctid), '') FROM {}")
    return {name: conn.execute(count.format(sql.Identifier(name))).fetchone() for (name,) in tables}
