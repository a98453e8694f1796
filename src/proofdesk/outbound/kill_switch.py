"""The kill switch: stops all sending of a project, or of all projects, within two seconds.

A worker reads it in the transaction that claims messages and again before each call of a channel. Messages keep their
state and are sent when the switch is off again, if their gates still pass.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied, Invalid
from proofdesk.outbound import kill_switch_queries
from proofdesk.outbound.kill_switch_queries import ActiveKillSwitch
from proofdesk.projects.scope import Scope

STOPPED = "kill_switch_on"
"""The code in `last_error` of a message that was stopped after it was claimed."""
RETRY_SECONDS = 30.0
MAX_REASON_LENGTH = 500
_MAX_AGE = 1.0  # seconds; together with a claim it must stay below two


class InvalidKillSwitch(Invalid):
    """The kill switch needs `on` and, to stop sending, a reason."""

    code = "invalid_kill_switch"


class KillSwitchOn(Conflict):
    """Sending is stopped."""

    code = "outbound_kill_switch_on"


async def load_active(db: Database, scope: Scope) -> ActiveKillSwitch | None:
    """Return the kill switch that stops the project; None when sending is on."""
    async with db.scoped(scope) as conn:
        return await kill_switch_queries.fetch_active(conn, scope)


async def switch(
    db: Database, scope: Scope, on: Any, reason: Any = None, *, all_projects: bool = False
) -> ActiveKillSwitch | None:
    """Stop all sending (`on` true) or allow it again; return the kill switch that stops the project now.

    `all_projects` is for the owner of the installation. Raises `InvalidKillSwitch`, or `Denied` (`forbidden`).
    """
    scope.require("approver")
    _validate(on, reason)
    if all_projects and not scope.actor.is_owner:
        raise Denied("Only the owner can stop the sending of all projects.", code="forbidden", status=403)
    reason = (reason or "").strip()
    async with db.scoped(scope) as conn:
        if await _store(conn, scope, on, reason, all_projects):
            payload = {"reason": reason, "all_projects": all_projects}
            action = "outbound.kill_switch_on" if on else "outbound.kill_switch_off"
            await events.record(conn, scope.actor, action, "project", scope.project_id, scope=scope, payload=payload)
        return await kill_switch_queries.fetch_active(conn, scope)


def describe(active: ActiveKillSwitch) -> str:
    """Return a sentence that says who stopped sending and why."""
    where = "in all projects" if active.all_projects else "in this project"
    return f"{active.by} stopped all sending {where} at {active.since:%Y-%m-%dT%H:%M:%SZ}: {active.reason}"


@dataclass
class KillSwitchReader:
    """Answers before each call of a channel whether sending is stopped. An answer is at most a second old."""

    db: Database
    scope: Scope
    _active: ActiveKillSwitch | None = None
    _read_at: float = field(default=float("-inf"))

    async def read(self) -> ActiveKillSwitch | None:
        """Return the kill switch that stops the project; None when sending is on."""
        if time.monotonic() - self._read_at > _MAX_AGE:
            read_at = time.monotonic()
            self._active = await load_active(self.db, self.scope)
            self._read_at = read_at
        return self._active


def _validate(on: Any, reason: Any) -> None:
    if not isinstance(on, bool):
        raise InvalidKillSwitch("`on` must be true or false.")
    if not isinstance(reason, str | None) or len(reason or "") > MAX_REASON_LENGTH:
        raise InvalidKillSwitch(f"`reason` must be a string of at most {MAX_REASON_LENGTH} characters.")
    if on and not (reason or "").strip():
        raise InvalidKillSwitch("Give a `reason` to stop all sending.")


async def _store(conn: events.Conn, scope: Scope, on: bool, reason: str, all_projects: bool) -> int:
    if all_projects:
        if on:
            return await kill_switch_queries.insert_for_all_projects(conn, scope.actor.username, reason)
        return await kill_switch_queries.delete_for_all_projects(conn)
    if on:
        return await kill_switch_queries.insert_for_project(conn, scope, reason)
    return await kill_switch_queries.delete_for_project(conn, scope)
