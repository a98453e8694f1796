"""Process many items in one transaction when the database may refuse some of them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import psycopg

from proofdesk.database import errors
from proofdesk.database.rows import Conn

Item = TypeVar("Item")
Result = TypeVar("Result")


async def process_in_halves(
    conn: Conn, items: Sequence[Item], work: Callable[[Sequence[Item]], Awaitable[Result]]
) -> tuple[list[Result], list[tuple[Item, str]]]:
    """Process all items; when the database refuses a value, process each half of them.

    Return the results of the parts that succeeded, and the refused items with their reasons. What a failed part wrote
    is rolled back. Raises errors that are not about values.
    """
    try:
        async with conn.transaction():
            result = await work(items)
    except psycopg.Error as error:
        if not errors.is_data_error(error) or not items:
            raise
        if len(items) == 1:
            return [], [(items[0], errors.first_line(error))]
    else:
        return [result], []
    middle = len(items) // 2
    results, refused = await process_in_halves(conn, items[:middle], work)
    more_results, more_refused = await process_in_halves(conn, items[middle:], work)
    return results + more_results, refused + more_refused
