"""The environment of a command that only looks: no migration, no account, no database that is created."""

import contextlib
import os
import shlex
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import conninfo
from pydantic import SecretStr

from proofdesk import logging, settings
from proofdesk.database import embedded, home
from proofdesk.database.poolers import WrongSession
from proofdesk.errors import Unavailable
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.runbooks import database_probe
from proofdesk.runbooks.fixes import ENVIRONMENT_FILE
from proofdesk.settings import Settings

SERVICE_HOME = Path("/var/lib/proofdesk")
"""PROOFDESK_HOME of the services in `deploy/systemd`."""


@dataclass(frozen=True)
class Inspected:
    """The settings to inspect, where they come from, and the database that they name.

    `closed` is the reason why there is no database to look at.
    """

    settings: Settings
    configuration: str
    database: str
    closed: Unavailable | None = None


def load_environment(file: Path = Path(ENVIRONMENT_FILE), service_home: Path = SERVICE_HOME) -> str:
    """Add the variables of the services to the environment, where it lacks them. Return where the settings come from.

    The file is used unless the environment names a database. Says how to load a file that this user may not read.
    """
    if os.environ.get("DATABASE_URL") or os.environ.get("PROOFDESK_HOME") or not os.path.lexists(file):
        return "the environment of this command"
    try:
        values = dict(_assignments(file.read_text("utf-8")))
    except OSError:
        command = f"sudo sh -c 'set -a; . {file}; PROOFDESK_HOME={service_home} proofdesk doctor'"
        return f"the environment of this command, without {file}, which this user may not read. Run: {command}"
    for name, value in values.items():
        os.environ.setdefault(name, value)
    if service_home.is_dir():
        os.environ.setdefault("PROOFDESK_HOME", str(service_home))
    return f"{file} and the environment of this command"


@contextlib.contextmanager
def inspected_database() -> Iterator[Inspected]:
    """Yield the settings with the URL of their database. An embedded one is started for the block, if it exists."""
    configuration = load_environment()
    loaded = settings.load()
    logging.setup(loaded)
    if loaded.database_url is not None:
        yield Inspected(loaded, configuration, _describe(loaded.database_url.get_secret_value()))
        return
    folder = loaded.proofdesk_home / "postgres"
    name = f"embedded, in {home.display_path(folder)}"
    with contextlib.ExitStack() as stack:
        url, closed = "postgresql:///", None
        try:
            if not (folder / "PG_VERSION").exists():
                message = f"There is no database in {home.display_path(folder)}."
                raise Unavailable(message, code=database_probe.ABSENT)
            url = stack.enter_context(embedded.running_server(loaded.proofdesk_home))
        except Unavailable as error:
            closed = Unavailable(error.message, code=_code(error))
        yield Inspected(loaded.model_copy(update={"database_url": SecretStr(url)}), configuration, name, closed)


@contextlib.asynccontextmanager
async def inspecting_resources(inspected: Inspected) -> AsyncIterator[Resources]:
    """Yield resources on the database as it is. One that cannot be used raises the reason wherever it is used."""
    closed = inspected.closed
    if closed is None:
        assert inspected.settings.database_url is not None, "the caller sets it"
        closed = (await database_probe.probe(inspected.settings.database_url.get_secret_value())).closed
    async with contextlib.AsyncExitStack() as stack:
        try:
            resources = await stack.enter_async_context(open_resources(inspected.settings, closed=closed))
        except WrongSession as refusal:
            resources = await stack.enter_async_context(open_resources(inspected.settings, closed=refusal))
        yield resources


def _code(error: Unavailable) -> str:
    if error.code == database_probe.ABSENT:
        return error.code
    return database_probe.DISK_FULL if "disk that is full" in error.message else database_probe.NOT_STARTED


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield the variables of a file as systemd reads it: `NAME=value`, with or without quotes."""
    for line in map(str.strip, text.splitlines()):
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";")):
            with contextlib.suppress(ValueError):  # an open quote
                value = " ".join(shlex.split(value))
            yield name.strip(), value


def _describe(url: str) -> str:
    parts = conninfo.conninfo_to_dict(url)
    host, port = parts.get("host") or "the local socket", parts.get("port")
    where = f"{host}:{port}" if port and not str(host).startswith("/") else host
    return f"{parts.get('dbname') or parts.get('user') or 'default'} on {where} (DATABASE_URL)"
