"""What a command needs of this machine: settings, a migrated database, and everything opened on it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeVar

from pydantic import SecretStr

from proofdesk import logging, settings
from proofdesk.accounts import accounts
from proofdesk.audit import events
from proofdesk.cli import output
from proofdesk.database import embedded, migrate
from proofdesk.errors import Conflict
from proofdesk.jobs import resources
from proofdesk.jobs.resources import Resources
from proofdesk.projects import projects, scope
from proofdesk.projects.scope import ProjectNotFound, Scope
from proofdesk.settings import Settings

T = TypeVar("T")


@contextlib.contextmanager
def prepared_database(given: Settings | None = None) -> Iterator[Settings]:
    """Settings whose database runs and is migrated: the one of DATABASE_URL, or the embedded one while in the block."""
    loaded = given or settings.load()
    logging.setup(loaded)
    with contextlib.ExitStack() as stack:
        if loaded.database_url is None:
            url = stack.enter_context(embedded.running_server(loaded.proofdesk_home))
            loaded = loaded.model_copy(update={"database_url": SecretStr(url)})
        assert loaded.database_url is not None
        migrate.migrate(loaded.database_url.get_secret_value())
        yield loaded


def run_with_resources(command: Callable[[Resources], Awaitable[T]], given: Settings | None = None) -> T:
    """Run a command with everything opened; the owner account exists then."""

    async def with_resources(loaded: Settings) -> T:
        async with opened_resources(loaded) as held:
            return await command(held)

    with prepared_database(given) as loaded:
        return asyncio.run(with_resources(loaded))


@contextlib.asynccontextmanager
async def opened_resources(loaded: Settings) -> AsyncIterator[Resources]:
    """Resources of a prepared machine. A password made for the owner is shown, this once."""
    async with resources.open_resources(loaded) as held:
        password = await accounts.ensure_owner(held.db, loaded)
        if password is not None:
            output.print_note(f"Made the owner account. Username: {loaded.auth_username}  Password: {password}")
            output.print_note("It is shown only this once; set AUTH_PASSWORD to choose another.")
        yield held


async def enter_project(held: Resources, project: str | None, by: str | None = None) -> Scope:
    """The project of that name or id, or the only one there is, entered by the system or by the person `by` names.

    Raises `ProjectNotFound` when there is none, or none for that person, `Conflict` when it is not clear which, and
    `UserNotFound`.
    """
    actor = events.system_actor() if by is None else await accounts.load_actor(held.db, by)
    if project is not None:
        found = await projects.get_by_name_or_id(held.db, project)
        return await scope.enter(held.db, actor, found.id)
    existing = await projects.list_visible(held.db, events.system_actor())
    if not existing:
        raise ProjectNotFound("There is no project yet: make one with `proofdesk project create NAME`.")
    if len(existing) > 1:
        names = ", ".join(p.name for p in existing)
        raise Conflict(f"There are several projects; choose one with --project: {names}.")
    return await scope.enter(held.db, actor, existing[0].id)
