"""Open database sessions with the settings that Proofdesk requires, and verify them.

Settings of a role, a database or a server (`ALTER ROLE … SET`, `ALTER DATABASE … SET`) must not change the meaning of a
statement. A connection pooler may drop settings or share a session among clients. A session that is not as required is
closed before any statement of the application is executed in it.
"""

import asyncio
import re
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, conninfo, sql

from proofdesk.database import poolers
from proofdesk.database.errors import classify_connection_failure
from proofdesk.database.poolers import WrongSession
from proofdesk.errors import Unavailable

APP_ROLE = "proofdesk_app"
REQUIRED_SETTINGS: dict[str, str] = {
    "search_path": "public",
    "row_security": "on",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
}
"""Settings that decide the meaning of a statement or a value. They cannot be overridden."""
TIME_LIMITS: dict[str, str] = dict.fromkeys(
    ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"), "0"
)
"""Time limits are off, since Proofdesk has its own. The `options` of DATABASE_URL can set them."""
_LIMITS_OF_17: dict[str, str] = {"transaction_timeout": "0"}
_VERSION_17 = 170000
_BACKEND = "SELECT pg_backend_pid()"
_NO_OPTIONS = "unsupported startup parameter"


class ConnectionRefusals:
    """Why the latest connection of a pool failed, if it did. The pool itself reports only that it has none.

    `newest` is a session that is not as required, `error` a failure of the connection itself.
    """

    def __init__(self) -> None:
        self.newest: WrongSession | None = None
        self.error: psycopg.Error | None = None
        self.first_attempt = asyncio.Event()

    def record(self, refusal: WrongSession | None, error: psycopg.Error | None = None) -> None:
        """Record the outcome of a connection attempt."""
        self.newest, self.error = refusal, error
        self.first_attempt.set()

    def cause(self) -> Unavailable | None:
        """Return the error to report when the pool has no connection, None when the reason is not known."""
        return self.newest or (self.error and classify_connection_failure(self.error))


class DatabaseSession(AsyncConnection[Any]):
    """A connection with the application role, verified before it is used.

    The role is also in the start-up packet, so that RESET ROLE returns to it. Behind a pooler that drops or refuses the
    options of the packet, a statement sets the role.
    """

    backend: int = 0
    behind_pooler: bool = False
    url: str = ""
    refusals: ConnectionRefusals

    @classmethod
    async def connect(cls, *args: Any, **kwargs: Any) -> Self:
        """Connect, set the required settings, and verify them. Raises `WrongSession` or `psycopg.Error`.

        `refusals` (a `ConnectionRefusals`) records the outcome. All other arguments are those of psycopg.
        """
        refusals: ConnectionRefusals = kwargs.pop("refusals", None) or ConnectionRefusals()
        url = args[0] if args else kwargs.pop("conninfo", "")
        try:
            conn = await cls._connect(url, kwargs | {"autocommit": True})
        except WrongSession as refusal:
            refusals.record(refusal)
            raise
        except psycopg.Error as error:
            refusals.record(refusals.newest, error)
            raise
        refusals.record(None)
        conn.refusals = refusals
        return conn

    @classmethod
    async def _connect(cls, url: str, kwargs: dict[str, Any]) -> Self:
        conn = await cls._connect_with_options(url, kwargs)
        try:
            await conn._establish(url)
        except BaseException as error:
            await conn.close()
            _raise_refusal(error)
            raise
        return conn

    @classmethod
    async def _connect_with_options(cls, url: str, kwargs: dict[str, Any]) -> Self:
        try:
            return await super().connect(url, **kwargs, options=_startup_options(url, {"role": APP_ROLE}))
        except psycopg.OperationalError as error:
            if _NO_OPTIONS not in str(error):
                raise
        return await super().connect(_without_options(url), **kwargs)

    async def _establish(self, url: str) -> None:
        self.url = _without_options(url)
        self.backend, self.behind_pooler = await _backend(self, self.url)
        await self.execute(_set(REQUIRED_SETTINGS | _limits(url, self.info.server_version) | {"role": APP_ROLE}))
        _check(await _facts(self), self.backend)

    async def verify(self) -> None:
        """Verify the session again, since the mode of a pooler may change. Raises `WrongSession`."""
        try:
            _check(await _facts(self), self.backend)
        except WrongSession:
            poolers.forget(self.url)
            raise

    def describe(self) -> str:
        """Return one sentence about the server and the connection."""
        version = self.info.parameter_status("server_version") or self.info.server_version
        way = "behind a connection pooler in session mode" if self.behind_pooler else "connected directly"
        return f"PostgreSQL {version}, {way}, as {APP_ROLE}."


def connect_as_owner(url: str) -> psycopg.Connection:
    """Connect as the user of `url`, who owns the tables, for what the application role may not do.

    Sets the same settings except the role. Raises `WrongSession` or `psycopg.Error`.
    """
    bare, parameters = (
        _without_options(url),
        dict[str, Any](autocommit=True, connect_timeout=10, application_name="proofdesk"),
    )
    try:
        conn = psycopg.connect(bare, options=_startup_options(url, {}), **parameters)
    except psycopg.OperationalError as error:
        if _NO_OPTIONS not in str(error):
            raise
        conn = psycopg.connect(bare, **parameters)
    try:
        if conn.execute(_BACKEND).fetchone() != (conn.info.backend_pid,):
            poolers.require_session_mode_sync(bare)
        conn.execute(_set(REQUIRED_SETTINGS | _limits(url, conn.info.server_version)))
    except BaseException as error:
        conn.close()
        _raise_refusal(error)
        raise
    return conn


async def connect_as_owner_async(url: str, name: str) -> AsyncConnection[Any]:
    """Connect as `connect_as_owner` does, for asynchronous use. `name` is the application name of the session."""
    bare, parameters = _without_options(url), dict[str, Any](autocommit=True, connect_timeout=10, application_name=name)
    try:
        conn = await AsyncConnection.connect(bare, options=_startup_options(url, {}), **parameters)
    except psycopg.OperationalError as error:
        if _NO_OPTIONS not in str(error):
            raise
        conn = await AsyncConnection.connect(bare, **parameters)
    try:
        await _backend(conn, bare)
        await conn.execute(_set(REQUIRED_SETTINGS | _limits(url, conn.info.server_version)))
    except BaseException as error:
        await conn.close()
        _raise_refusal(error)
        raise
    return conn


async def _backend(conn: AsyncConnection[Any], url: str) -> tuple[int, bool]:
    """Return the server process of the session, and whether a pooler reports another process id to the client."""
    row = await (await conn.execute(_BACKEND)).fetchone()
    assert row is not None, "the statement returns a row"
    behind_pooler = row[0] != conn.info.backend_pid
    if behind_pooler:
        await poolers.require_session_mode(url)
    return row[0], behind_pooler


def _set(settings: dict[str, str]) -> sql.Composed:
    each = [sql.SQL("set_config({}, {}, false)").format(name, value) for name, value in settings.items()]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(each))


_FACTS = sql.SQL(
    """
    SELECT current_user::text AS role, pg_backend_pid() AS backend,
           (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS unbound,
           current_setting('row_security') AS row_security, current_setting('search_path') AS search_path,
           current_setting('TimeZone') AS timezone,
           current_setting('default_transaction_read_only') AS default_transaction_read_only,
           set_config('proofdesk.project_id', '', false) = '' AS project"""
)
_COLUMNS = ("role", "backend", "unbound", "row_security", "search_path", "timezone", "default_transaction_read_only")


async def _facts(conn: AsyncConnection[Any]) -> dict[str, Any]:
    row = await (await conn.execute(_FACTS)).fetchone()
    assert row is not None, "the statement returns a row"
    return dict(zip((*_COLUMNS, "project"), row, strict=True))


def _check(facts: dict[str, Any], backend: int) -> None:
    """Raise `WrongSession` unless the session is as required."""
    if facts["backend"] != backend:
        raise WrongSession(poolers.SHARED_SESSION)
    if facts["role"] != APP_ROLE:
        raise WrongSession(
            f"The connection has the role {facts['role']} instead of {APP_ROLE}, so row-level security would not apply."
            " Use a connection pooler in session mode, or connect to PostgreSQL directly."
        )
    if facts["unbound"]:
        raise WrongSession(
            f"The role {APP_ROLE} bypasses row-level security. Let an administrator run:"
            f" ALTER ROLE {APP_ROLE} NOSUPERUSER NOBYPASSRLS;"
        )
    for name in ("row_security", "search_path", "timezone", "default_transaction_read_only"):
        if facts[name] != REQUIRED_SETTINGS[name]:
            raise WrongSession(
                f"The connection has {name} = {facts[name]} instead of {REQUIRED_SETTINGS[name]}. A connection pooler"
                " or an extension of the server changes it. Connect to PostgreSQL directly."
            )
    if not facts["project"]:
        raise WrongSession("The setting proofdesk.project_id cannot be set on this server.")


def _raise_refusal(error: BaseException) -> None:
    """Raise `WrongSession` if the error means that the session cannot be as required."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        raise WrongSession(
            f"The database user may not act as {APP_ROLE}: {_first_line(error)}."
            f" Let an administrator run: GRANT {APP_ROLE} TO <this user>;"
        ) from error
    if isinstance(error, psycopg.Error) and poolers.REFUSES_TRANSACTIONS in str(error):
        raise WrongSession(poolers.SHARED_SESSION) from error


def _limits(url: str, version: int) -> dict[str, str]:
    limits = TIME_LIMITS | (_LIMITS_OF_17 if version >= _VERSION_17 else {})
    chosen = dict(re.findall(r"(?:-c\s*|--)(\w+)=((?:\\.|\S)+)", _options(url)))
    return {name: chosen.get(name, limit) for name, limit in limits.items()}


def _startup_options(url: str, more: dict[str, str]) -> str:
    ours = REQUIRED_SETTINGS | _limits(url, 0) | more
    escaped = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in ours.items())
    return f"{_options(url)} {escaped}".strip()


def _options(url: str) -> str:
    return str(conninfo.conninfo_to_dict(url).get("options") or "")


def _without_options(url: str) -> str:
    parts = conninfo.conninfo_to_dict(url)
    parts.pop("options", None)
    return conninfo.make_conninfo("", **parts)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
