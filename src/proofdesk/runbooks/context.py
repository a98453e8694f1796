"""The case that a runbook is run for: where, for whom, and what is known of it so far."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from proofdesk.audit.events import Actor
from proofdesk.jobs.resources import Resources
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

T = TypeVar("T")


class CheckSkippedError(Exception):
    """This cannot be seen from here; the reason is for people."""


@dataclass(frozen=True)
class RequestContext:
    """The request that asks, as a door saw it. Names of cookies only: their values are nobody's business here.

    `scheme` and `peer` are those of the connection after trusted proxies were heard; `forwarded` holds the
    `X-Forwarded-*` headers that came along and `believed` tells whether they count. `session` is the state of the
    session that the cookie names, None without a cookie. `csrf` tells whether the token in the header is the
    session's: None where no token is asked for. `sent_at` is the time on the clock of whoever asks, if he told it.
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
    """Checks of one run share what they find out: `know` asks each question once."""

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
        """The effective settings."""
        return self.resources.settings

    @property
    def required_scope(self) -> Scope:
        """The project. Raises `CannotLookError` without one."""
        if self.scope is None:
            raise CheckSkippedError("No project is chosen.")
        return self.scope

    @property
    def required_request(self) -> RequestContext:
        """The request that asks. Raises `CannotLookError` without one."""
        if self.request is None:
            raise CheckSkippedError("Only a request shows this: run the runbook from the page or the API.")
        return self.request

    async def load_once(self, question: Callable[["RunbookContext"], Coroutine[Any, Any, T]]) -> T:
        """What the question gives, asked once however many checks want to know."""
        if question not in self._loads:
            self._loads[question] = asyncio.create_task(question(self))
        # A check that runs out of time must not take the answer away from the others.
        return await asyncio.shield(self._loads[question])

    async def close(self) -> None:
        """Stop what is still being asked."""
        waiting = [task for task in self._loads.values() if not task.done()]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self._loads = {question: task for question, task in self._loads.items() if not task.cancelled()}
