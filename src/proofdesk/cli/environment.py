"""The environment of a command: settings, a migrated database, and open resources."""

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
from proofdesk.digests.observers import OBSERVERS
from proofdesk.errors import Conflict
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.projects import projects
from proofdesk.projects import scope as project_scope
from proofdesk.projects.scope import ProjectNotFound, Scope
from proofdesk.settings import Settings

T = TypeVar("T")


@contextlib.contextmanager
def prepared_database(loaded: Settings | None = None) -> Iterator[Settings]:
    """Yield settings whose database is migrated: the one of DATABASE_URL, or the embedded one during the block."""
    loaded = loaded or settings.load()
    logging.setup(loaded)
    with contextlib.ExitStack() as stack:
        if loaded.database_url is None:
            url = stack.enter_context(embedded.running_server(loaded.proofdesk_home))
            loaded = loaded.model_copy(update={"database_url": SecretStr(url)})
        assert loaded.database_url is not None
        migrate.migrate(loaded.database_url.get_secret_value())
        yield loaded


def run_with_resources(command: Callable[[Resources], Awaitable[T]], loaded: Settings | None = None) -> T:
    """Run a command with open resources and an existing owner account. Return the command's result."""

    async def run(loaded: Settings) -> T:
        async with opened_resources(loaded) as resources:
            return await command(resources)

    with prepared_database(loaded) as loaded:
        return asyncio.run(run(loaded))


@contextlib.asynccontextmanager
async def opened_resources(loaded: Settings) -> AsyncIterator[Resources]:
    """Yield resources on a prepared database. A generated password of the owner is printed once."""
    async with open_resources(loaded, observers=OBSERVERS) as resources:
        password = await accounts.ensure_owner(resources.db, loaded)
        if password is not None:
            output.print_note(f"Created the owner account. Username: {loaded.auth_username}  Password: {password}")
            output.print_note("The password is shown only once. Set AUTH_PASSWORD to choose another.")
        yield resources


async def enter_project(resources: Resources, project: str | None, username: str | None = None) -> Scope:
    """Return the scope of a project by name or id, or of the only project; for the system or for a user.

    Raises `ProjectNotFound` when there is none, or none for that user, `Conflict` when several match, and
    `UserNotFound`.
    """
    actor = events.system_actor() if username is None else await accounts.load_actor(resources.db, username)
    if project is not None:
        match = await projects.get_by_name_or_id(resources.db, project)
        return await project_scope.enter(resources.db, actor, match.id)
    existing = await projects.list_visible(resources.db, events.system_actor())
    if not existing:
        raise ProjectNotFound("There is no project yet. Create one: `proofdesk project create NAME`.")
    if len(existing) > 1:
        names = ", ".join(p.name for p in existing)
        raise Conflict(f"There are several projects. Choose one with --project: {names}.")
    return await project_scope.enter(resources.db, actor, existing[0].id)
