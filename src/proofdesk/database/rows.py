"""Queries in, dataclasses out. Every function takes one literal statement and named parameters."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, LiteralString, TypeVar, cast

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import no_result
from psycopg.sql import SQL, Composed

Conn = AsyncConnection[Any]
Statement = LiteralString | Composed
Row = TypeVar("Row")


async def fetch_all(conn: Conn, row: type[Row], statement: Statement, **params: Any) -> list[Row]:
    """All rows, each as an instance of `row` (its fields are the column names)."""
    async with conn.cursor(row_factory=_row_factory(row)) as cursor:
        await cursor.execute(statement, params)
        return await cursor.fetchall()


async def open_cursor(conn: Conn, row: type[Row], statement: Statement, **params: Any) -> AsyncCursor[Row]:
    """The same rows to be fetched from a cursor, which in a pipeline has been sent only and can be fetched after it."""
    cursor = conn.cursor(row_factory=_row_factory(row))
    return await cursor.execute(statement, params)


async def fetch_optional(conn: Conn, row: type[Row], statement: Statement, **params: Any) -> Row | None:
    """The first row, or None when there is none."""
    async with conn.cursor(row_factory=_row_factory(row)) as cursor:
        await cursor.execute(statement, params)
        return await cursor.fetchone()


async def fetch_one(conn: Conn, row: type[Row], statement: Statement, **params: Any) -> Row:
    """The only row of a statement that always gives one, such as INSERT … RETURNING."""
    found = await fetch_optional(conn, row, statement, **params)
    assert found is not None, "the statement gives a row"
    return found


async def fetch_value(conn: Conn, statement: Statement, **params: Any) -> Any:
    """The first column of the first row, or None when there is no row."""
    cursor = await conn.execute(statement, params)
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def execute(conn: Conn, statement: Statement, **params: Any) -> int:
    """Run a statement for its effect; the number of rows it touched, -1 in a pipeline, which has only sent it."""
    cursor = await conn.execute(statement, params)
    return cursor.rowcount


def flatten(statement: Composed) -> Composed:
    """The same in one piece, for one that is asked often: putting its parts together takes longer than sending it."""
    return Composed([SQL(cast(LiteralString, statement.as_string()))])


def like_pattern(text: str | None) -> str | None:
    """For LIKE: texts that contain these words as they are; None, which asks for all, when there are none."""
    if not text or not text.strip():
        return None
    literal = text.strip()[:200].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"


def _row_factory(row: type[Row]) -> Callable[[AsyncCursor[Any]], Callable[[Sequence[Any]], Row]]:
    """Rows as instances of a dataclass, four times as quick as by calling it: a frozen one sets field by field.

    Raises TypeError unless the columns are its fields.
    """

    def factory(cursor: AsyncCursor[Any]) -> Callable[[Sequence[Any]], Row]:
        result = cursor.pgresult
        if result is None or not result.nfields:
            return no_result
        names = [(result.fname(n) or b"").decode() for n in range(result.nfields)]
        if set(names) != _fields(row):
            raise TypeError(f"{row.__name__} has other fields than {', '.join(names)}")

        def make(values: Sequence[Any]) -> Row:
            made = object.__new__(row)
            made.__dict__.update(zip(names, values, strict=True))
            return made

        return make

    return factory


@cache
def _fields(row: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(row)}
