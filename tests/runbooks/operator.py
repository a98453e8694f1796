"""An operator who follows the fixes of a result literally: requests, commands, settings, and what is done elsewhere."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from proofdesk.jobs import new_projects, worker_processes
from proofdesk.runbooks import fixes
from proofdesk.runbooks.findings import Fix, RunbookResult
from proofdesk.settings import Settings
from tests.runbooks import walk
from tests.runbooks.installation import REQUEST, Installation
from tests.runbooks.walk import Walk

ELSEWHERE = re.compile(
    "^(Start|Repair|Raise|Correct|Configure|Settle|Synchronise|Sign in|Clear|Check|Wait|Make PUBLIC_URL|The owner)"
)
"""How a fix begins that a person carries out elsewhere: in Chatwoot, at the provider, in a proxy, in a browser."""
JOBS = {"proofdesk sync": "/jobs/chatwoot/sync", "proofdesk embed": "/jobs/embeddings/run"}
MAX_FIXES = 10


@dataclass
class Operator:
    """Follows fixes in an installation whose healthy state is known."""

    installation: Installation
    healthy: dict[str, Any]
    followed: list[str] = field(default_factory=list)
    migrations: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.migrations = self.installation.rows("SELECT name, applied_at FROM schema_migrations")

    def restore_migrations(self) -> None:
        """Record the migrations again that a fault removed, as if `proofdesk migrate` had applied them."""
        for name, at in self.migrations:
            insert = "INSERT INTO schema_migrations VALUES (%(name)s, %(at)s) ON CONFLICT DO NOTHING"
            self.installation.sql(insert, name=name, at=at)

    async def repair(self, slug: str) -> RunbookResult:
        """Follow the first fix until no check fails, at most `MAX_FIXES` times. Return the last result."""
        result = await self.installation.run(slug)
        while result.cause and len(self.followed) < MAX_FIXES:
            await self.follow(result.fixes[0])
            result = await self.installation.run(slug)
        return result

    async def follow(self, fix: Fix) -> None:
        """Do what the fix says."""
        self.followed.append(fix.label)
        if fix.path and fix.path.startswith("/runbooks/"):
            other = await self.installation.run(fix.path.split("/")[2])
            return await self.follow(other.fixes[0]) if other.fixes else None
        for condition, act in self._actions(fix):
            if condition:
                return await act()
        raise AssertionError(f"Nobody knows how to follow: {fix}")

    def _actions(self, fix: Fix) -> list[tuple[bool, Callable[[], Awaitable[None]]]]:
        command = fix.command or ""

        async def act_elsewhere() -> None:
            self._correct_variables(fix.label)
            await self._repair_services()

        async def set_variables() -> None:
            await self._set_variables(fix.label)

        async def request() -> None:
            await self._request(fix)

        async def repair_channel_and_request() -> None:
            self.installation.set(smtp_url=self.healthy["smtp_url"])
            await self._request(fix)

        async def restart() -> None:
            await self._start_worker()

        async def end_process() -> None:
            # The process reports no more, and minutes later another worker finds its run.
            self.installation.sql(
                "UPDATE worker_runs SET heartbeat_at = now() - interval '1 hour', runner = 'gone:1:1'"
            )
            async with self._signed_in() as w:
                await w.drain()
            await self._start_worker()

        async def run_migrations() -> None:
            self.restore_migrations()

        async def restore_owner() -> None:
            self.installation.sql("DELETE FROM telegram_owner")
            owner = self.installation.settings.get("telegram_owner_id", 4711)
            insert = "INSERT INTO telegram_owner (user_id, chat_id, name) VALUES (%(owner)s, %(owner)s, 'Ada')"
            self.installation.sql(insert, owner=owner)

        async def select() -> None:
            self.installation.in_project = True

        return [
            (bool(fix.path) and fix.path == "/projects/{id}/select", select),
            (fix.label.startswith("Set "), set_variables),
            (fix == fixes.MIGRATE, run_migrations),
            ("kill -9" in command, end_process),
            (command in (fixes.RESTART, "proofdesk worker"), restart),
            (command == "proofdesk telegram bind-code", restore_owner),
            ((fix.path or "").startswith("/outbound/"), repair_channel_and_request),
            (bool(ELSEWHERE.match(fix.label)) or command.startswith("proofdesk telegram"), act_elsewhere),
            (bool(fix.path), request),
        ]

    async def _set_variables(self, label: str) -> None:
        self._correct_variables(label)
        await self._repair_services()
        await self._start_worker()

    def _correct_variables(self, label: str) -> None:
        for name, value in re.findall(r"\b([A-Z][A-Z_]{3,})\b(?:=(\w+))?", label):
            field_name = name.lower()
            if value.isdigit():
                self.installation.set(**{field_name: int(value)})
            elif field_name in self.healthy:
                self.installation.set(**{field_name: self.healthy[field_name]})
            else:
                self.installation.settings.pop(field_name, None)

    async def _start_worker(self) -> None:
        self.installation.sql("DELETE FROM procrastinate_workers")
        self.installation.sql("INSERT INTO procrastinate_workers DEFAULT VALUES")
        self.installation.sql("DELETE FROM worker_processes")
        await new_projects.add_missing_schedules(self.installation.db)
        await worker_processes.report(self.installation.db, Settings(**self.installation.settings))

    async def _repair_services(self) -> None:
        """Bring services, clocks and the browser back to a healthy state."""
        self.installation.chatwoot.reset_controls()
        self.installation.openai.reset_controls()
        self.installation.openai.switches.key = "sk-right"
        hook = self.installation.telegram.hook
        self.installation.telegram.faults.clear()
        hook.url, hook.last_error = "https://desk.example.com/auth/telegram/webhook", None
        self.installation.request = REQUEST
        self.installation.clock.clear()

    async def _request(self, fix: Fix) -> None:
        async with self._signed_in() as w:
            await self._send(w, fix)
            await w.drain()
        await self._start_worker()

    def _signed_in(self) -> AbstractAsyncContextManager[Walk]:
        self.installation.sql("DELETE FROM sessions")
        self.installation.sql("DELETE FROM app_users")
        return walk.begun(self.installation)

    async def _send(self, w: Walk, fix: Fix) -> None:
        named = self.installation.outbound_id if (fix.path or "").startswith("/outbound/") else None
        path = (fix.path or "").replace("{id}", str(named or self.installation.scope.project_id))
        body = None if fix.method == "DELETE" else dict(fix.body or {})
        if fix.path == fixes.BIND.path:
            body = {"source_kind": "chatwoot_account", "external_id": "1"}
        response = await w.client.request(fix.method or "POST", path, json=body, params={"wait": 0})
        assert response.status_code < 300, response.text
