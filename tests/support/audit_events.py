"""Looking at the audit trail from a test, past row-level security."""

from typing import Any

import psycopg
from psycopg.rows import dict_row


def actions(conn: psycopg.Connection, family: str = "") -> list[str]:
    """What was done, in order."""
    rows = conn.execute(
        "SELECT action FROM audit_events WHERE starts_with(action, %s) ORDER BY id", [family]
    ).fetchall()
    return [action for (action,) in rows]


def last(conn: psycopg.Connection) -> dict[str, Any]:
    """The newest event."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("SELECT * FROM audit_events ORDER BY id DESC LIMIT 1").fetchone()
    assert found is not None
    return found


def tamper(conn: psycopg.Connection, statement: str, *values: Any) -> None:
    """Do what only a superuser can: change the trail."""
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute(statement, values)  # type: ignore[arg-type]
