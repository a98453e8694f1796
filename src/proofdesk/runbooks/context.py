"""The context of a runbook: resources, actor, project, request, and values that its checks share."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from proofdesk.audit.events import Actor
from proofdesk.database.pool import ClosedDatabase
from proofdesk.errors import Unavailable
from proofdesk.jobs.resources import Resources
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

T = TypeVar("T")


class CheckSkippedError(Exception):
    """A check cannot run in this context. The message says why, for people."""


@dataclass(frozen=True)
class RequestContext:
    """Facts about the HTTP request that runs the runbook. Of cookies, only the names.

    `scheme` and `peer` are those after trusted proxies are applied. `forwarded` holds the `X-Forwarded-*` headers of
    the request; `proxy_trusted` says whether they are used. `session_state` is `active`, `ended` or `unknown`, or None
    without a session cookie. `csrf_state` is `right`, `wrong` or `missing`, or None if the request needs no token.
    `client_time` is the time on the client's clock, if the client sent it.
    """

    method: str
    scheme: str
    host: str
    peer: str
    cookies: frozenset[str]
    session_state: str | None
    csrf_state: str | None
    origin: str | None = None
    referer: str | None = None
    forwarded: dict[str, str] = field(default_factory=dict)
    proxy_trusted: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    client_time: datetime | None = None


class RunbookContext:
    """What the checks of one run have in common. `load_once` loads each shared value once."""

    def __init__(
        self,
        resources: Resources,
        actor: Actor,
        scope: Scope | None = None,
        request: RequestContext | None = None,
        outbound_id: UUID | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self.resources = resources
        self.actor = actor
        self.scope = scope
        self.request = request
        self.outbound_id = outbound_id
        self.now = now
        self._loads: dict[Any, asyncio.Task[Any]] = {}

    @property
    def settings(self) -> Settings:
        """Return the effective settings."""
        return self.resources.settings

    @property
    def required_scope(self) -> Scope:
        """Return the project. Raises `CheckSkippedError` without one."""
        if self.scope is None:
            raise CheckSkippedError("No project is selected.")
        return self.scope

    @property
    def required_request(self) -> RequestContext:
        """Return the request. Raises `CheckSkippedError` at the command line."""
        if self.request is None:
            raise CheckSkippedError("This check needs an HTTP request. Run the runbook from the page or the API.")
        return self.request

    def close_database(self, reason: Unavailable) -> None:
        """Let every use of the database raise the reason, without waiting for a connection."""
        self.resources = replace(self.resources, db=ClosedDatabase(reason))

    async def load_once(self, loader: Callable[["RunbookContext"], Coroutine[Any, Any, T]]) -> T:
        """Return what the loader returns. It runs once, however many checks need it."""
        if loader not in self._loads:
            self._loads[loader] = asyncio.create_task(loader(self))
        # A check that times out must not cancel the load for the other checks.
        return await asyncio.shield(self._loads[loader])

    async def close(self) -> None:
        """Cancel loads that are still running."""
        waiting = [task for task in self._loads.values() if not task.done()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self._loads = {loader: task for loader, task in self._loads.items() if not task.cancelled()}
