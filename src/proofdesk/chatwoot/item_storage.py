"""Storing a page of rows: when the database refuses one, that row is quarantined and the others are stored."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg

from proofdesk.chatwoot import parsing
from proofdesk.chatwoot.parsing import ParsedItems
from proofdesk.database import errors
from proofdesk.database.bisect import process_in_halves
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.projects.scope import Scope

StoreRows = Callable[[list[dict[str, Any]]], Awaitable[int]]
PutRows = Callable[[Conn, str, ParsedItems, StoreRows], Awaitable[int]]
Result = TypeVar("Result")


async def store_items(db: Database, scope: Scope, write: Callable[[Conn, PutRows], Awaitable[Result]]) -> Result:
    """Call `write` in one transaction; if a value is refused, call it again with rows that are put in halves."""
    try:
        async with db.scoped(scope) as conn:
            return await write(conn, _put_at_once)
    except psycopg.Error as error:
        if not errors.is_data_error(error):
            raise
    async with db.scoped(scope) as conn:
        return await write(conn, _put_in_halves)


def reject_duplicates(parsed: ParsedItems, entity: str) -> None:
    """Keep the first of several rows with one id; the others are invalid."""
    first_rows: dict[int, dict[str, Any]] = {}
    for row in parsed.rows:
        if first_rows.setdefault(row[f"{entity}_id"], row) is not row:
            parsed.invalid.append(parsing.rejected_row(entity, row, "another item of this page has the same id"))
    parsed.rows = [first_rows[number] for number in sorted(first_rows)]


def reject_moved_messages(parsed: ParsedItems, stored_in: dict[int, int]) -> None:
    """Reject the messages that are stored in another conversation; `stored_in` maps message ids to those."""
    for row in (row for row in parsed.rows if row["message_id"] in stored_in):
        reason = f"message {row['message_id']} is stored in conversation {stored_in[row['message_id']]}"
        parsed.invalid.append(parsing.rejected_row("message", row, reason))
    parsed.rows = [row for row in parsed.rows if row["message_id"] not in stored_in]


async def _put_at_once(_: Conn, __: str, parsed: ParsedItems, put: StoreRows) -> int:
    return await put(parsed.rows)


async def _put_in_halves(conn: Conn, entity: str, parsed: ParsedItems, put: StoreRows) -> int:
    stored, refused = await process_in_halves(conn, parsed.rows, lambda rows: put(list(rows)))
    parsed.invalid += [parsing.rejected_row(entity, row, reason) for row, reason in refused]
    lost = {id(row) for row, _ in refused}
    parsed.rows = [row for row in parsed.rows if id(row) not in lost]
    return sum(stored)
