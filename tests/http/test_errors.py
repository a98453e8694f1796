"""How errors of the database become HTTP responses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from proofdesk.database.errors import classify
from proofdesk.database.pool import open_database
from proofdesk.errors import Unavailable
from proofdesk.http.errors import INTERNAL_ERROR, describe_error


@asynccontextmanager
async def refusing_server(sqlstate: str, message: str) -> AsyncIterator[str]:
    """A server that refuses every connection with this error, as PostgreSQL does. Yields its URL."""
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{message}\0\0".encode()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4))
        await reader.readexactly(length - 4)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        yield f"postgresql://desk@127.0.0.1:{port}/desk?sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.NumericValueOutOfRange("integer out of range"),
        psycopg.errors.UniqueViolation("duplicate key value"),
        psycopg.errors.ProgramLimitExceeded("index row size exceeds maximum"),
        psycopg.errors.CardinalityViolation("row affected a second time"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_data_error_is_invalid_input_and_not_an_unreachable_database(error: psycopg.Error):
    described = describe_error(error)
    assert (described.status, described.code) == (400, "invalid_request")
    assert str(error) not in described.message


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (psycopg.errors.TooManyConnections("too many clients"), "max_connections"),
        (psycopg.errors.CannotConnectNow("the database system is starting up"), "starting up"),
        (psycopg.errors.DiskFull("no space left on device"), "Free some space"),
        (psycopg.OperationalError("connection refused"), "cannot be reached"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unavailable_database_is_reported_with_advice(error: psycopg.Error, advice: str):
    described = describe_error(error)
    assert (described.status, described.code) == (503, "database_unavailable")
    assert advice in described.message


def test_an_error_of_the_program_reveals_nothing():
    assert describe_error(psycopg.errors.UndefinedTable('relation "secret" does not exist')) == INTERNAL_ERROR


@pytest.mark.parametrize(
    ("sqlstate", "message", "advice"),
    [
        ("53300", "sorry, too many clients already", "The database has no free connection."),
        ("53300", 'too many connections for role "desk"', "The database has no free connection."),
        ("57P03", "the database system is starting up", "The database server is starting up or shutting down."),
        ("57P03", "the database system is not yet accepting connections", "The database server is starting up"),
    ],
)
async def test_a_refused_connection_has_its_own_message(sqlstate: str, message: str, advice: str):
    async with refusing_server(sqlstate, message) as url:
        with pytest.raises(psycopg.OperationalError) as refused:
            await psycopg.AsyncConnection.connect(url)
        async with open_database(url, 1, connect_timeout=0.5) as db:
            with pytest.raises(Unavailable) as unavailable:
                async with db.statement():
                    pass
    for error in (classify(refused.value), unavailable.value):
        assert error is not None and error.message.startswith(advice) and "127.0.0.1" not in error.message
    assert describe_error(unavailable.value).status == 503
