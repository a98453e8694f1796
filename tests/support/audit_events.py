"""Audit events as the owner of the database sees them."""

from typing import Any

import psycopg
from psycopg.rows import dict_row


def list_actions(conn: psycopg.Connection, family: str = "") -> list[str]:
    """Return the actions of all events in order, of one family if given."""
    rows = conn.execute(
        "SELECT action FROM audit_events WHERE starts_with(action, %s) ORDER BY id", [family]
    ).fetchall()
    return [action for (action,) in rows]


def newest_event(conn: psycopg.Connection) -> dict[str, Any]:
    """Return the newest event."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("SELECT * FROM audit_events ORDER BY id DESC LIMIT 1").fetchone()
    assert found is not None
    return found


def tamper_with_events(conn: psycopg.Connection, statement: str, *values: Any) -> None:
    """Change audit events, which only a superuser can do."""
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute(statement, values)  # type: ignore[arg-type]
