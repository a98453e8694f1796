"""Classify database errors by SQLSTATE: a value cannot be stored, or the server is unavailable."""

import re

import psycopg

from proofdesk.errors import Unavailable

_DATA = ("21", "22", "23", "54")  # cardinality, data, integrity constraint, program limit
_ADVICE = {
    "25006": "The database is read-only. Connect to the primary server, and set default_transaction_read_only to off",
    "25P03": "The database ended an idle transaction. Raise idle_in_transaction_session_timeout",
    "40001": "Concurrent transactions could not be serialized. Try again",
    "40P01": "Transactions deadlocked. Try again",
    "53100": "The disk of the database server is full. Free some space",
    "53200": "The database server is out of memory. Lower work_mem, or add memory",
    "53300": "The database has no free connection. Raise max_connections, or run fewer processes",
    "57P03": "The database server is starting up or shutting down. Try again in a minute",
    "57014": "The database cancelled a statement. Raise statement_timeout if it was too slow",
}

# libpq reports no SQLSTATE when a connection fails, only the message of the server.
_CONNECTION_MESSAGES = {
    "53300": re.compile(r"too many (clients|connections)|connection slots are reserved"),
    "57P03": re.compile(r"database system is (starting up|shutting down|in recovery mode|not (yet )?accepting)"),
}


def is_data_error(error: BaseException) -> bool:
    """Return whether the database refused a value. The same statement would succeed without that value."""
    if not isinstance(error, psycopg.Error):
        return False
    return isinstance(error, psycopg.DataError) or (error.sqlstate or "")[:2] in _DATA


def classify(error: psycopg.Error) -> Unavailable | None:
    """Return the error to report when the database is unavailable, or None for errors of data or of the program."""
    if error.sqlstate is None and (connection_failure := classify_connection_failure(error)):
        return connection_failure
    state, reason = error.sqlstate or "", first_line(error)
    if state in _ADVICE:
        return Unavailable(f"{_ADVICE[state]}: {reason}.", code="database_unavailable")
    if is_data_error(error) or not isinstance(error, psycopg.OperationalError):
        return None
    if state and state[:2] != "08" and state[:3] != "57P":
        return Unavailable(f"The database refused to work: {reason}.", code="database_unavailable")
    return Unavailable(f"The database cannot be reached: {reason}.", code="database_unavailable")


def classify_connection_failure(error: psycopg.Error) -> Unavailable | None:
    """Return the error to report when the server is there but accepts no connection now, None for other failures."""
    message = str(error)
    state = next((state for state, pattern in _CONNECTION_MESSAGES.items() if pattern.search(message)), None)
    return Unavailable(f"{_ADVICE[state]}.", code="database_unavailable") if state else None


def first_line(error: Exception) -> str:
    """Return the first line of the message of an error."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
