"""Rows become dataclasses."""

from dataclasses import FrozenInstanceError, dataclass

import pytest
from psycopg import sql

from proofdesk.database import rows
from proofdesk.database.pool import Database


@dataclass(frozen=True)
class Pair:
    number: int
    word: str


async def test_row_equals_an_instance_created_by_name(db: Database):
    async with db.statement() as conn:
        found = await rows.fetch_all(conn, Pair, "SELECT 'a' AS word, n AS number FROM generate_series(1, 2) n")
    assert found == [Pair(1, "a"), Pair(number=2, word="a")]
    with pytest.raises(FrozenInstanceError):
        found[0].word = "b"  # type: ignore[misc]


@pytest.mark.parametrize("columns", ["1 AS number", "1 AS number, 'a' AS word, 2 AS more", "1 AS number, 'a' AS wort"])
async def test_columns_that_are_not_the_fields_are_refused(db: Database, columns: str):
    async with db.statement() as conn:
        with pytest.raises(TypeError, match="fields of Pair are not the columns number"):
            await rows.fetch_optional(conn, Pair, f"SELECT {columns}")  # type: ignore[arg-type]


async def test_statement_without_rows_returns_none(db: Database):
    async with db.statement() as conn:
        assert await rows.fetch_all(conn, Pair, "SELECT 1 AS number, 'a' AS word WHERE false") == []
        assert await rows.fetch_optional(conn, Pair, "SELECT 1 AS number, 'a' AS word WHERE false") is None


async def test_flattened_statement_is_the_same(db: Database):
    composed = sql.SQL("SELECT {} AS number, {} AS word WHERE %(number)s = 7").format(7, "it's")
    piece = rows.flatten(composed)
    async with db.statement() as conn:
        assert len(list(piece)) == 1
        assert await rows.fetch_all(conn, Pair, piece, number=7) == await rows.fetch_all(conn, Pair, composed, number=7)
