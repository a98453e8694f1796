"""Rows as dataclasses."""

from dataclasses import FrozenInstanceError, dataclass

import pytest
from psycopg import errors

from proofdesk.db import rows
from proofdesk.db.pool import Database


@dataclass(frozen=True)
class Pair:
    number: int
    word: str


async def test_a_row_is_an_instance_as_if_it_had_been_made_by_name(db: Database):
    async with db.statement() as conn:
        found = await rows.many(conn, Pair, "SELECT 'a' AS word, n AS number FROM generate_series(1, 2) n")
    assert found == [Pair(1, "a"), Pair(number=2, word="a")]
    with pytest.raises(FrozenInstanceError):
        found[0].word = "b"  # type: ignore[misc]


@pytest.mark.parametrize("columns", ["1 AS number", "1 AS number, 'a' AS word, 2 AS more", "1 AS number, 'a' AS wort"])
async def test_columns_that_are_not_the_fields_are_refused(db: Database, columns: str):
    async with db.statement() as conn:
        with pytest.raises(TypeError, match="Pair has other fields than number"):
            await rows.maybe(conn, Pair, f"SELECT {columns}")  # type: ignore[arg-type]


async def test_a_statement_without_rows_has_none_to_make(db: Database):
    async with db.statement() as conn:
        assert await rows.many(conn, Pair, "SELECT 1 AS number, 'a' AS word WHERE false") == []
        assert await rows.maybe(conn, Pair, "SELECT 1 AS number, 'a' AS word WHERE false") is None


async def test_of_queries_that_failed_together_the_one_that_stopped_the_others_is_told():
    async def failing(error: Exception) -> None:
        raise error

    aborted = errors.PipelineAborted("pipeline aborted")
    with pytest.raises(errors.DivisionByZero):
        await rows.side_by_side(failing(aborted), failing(errors.DivisionByZero()), failing(aborted))
