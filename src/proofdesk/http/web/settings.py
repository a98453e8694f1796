"""Page: settings. Your own password and sessions, the active project and, for the owner, users and Telegram.

The forms post to `web.accounts`, `web.projects` and, for Telegram, to this file.
"""

from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts import accounts, commands, sessions, signup, telegram
from proofdesk.accounts.session_queries import ActiveSession, UserSession
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied, Invalid, NotFound, ProofdeskError
from proofdesk.http import dependencies
from proofdesk.http.dependencies import Config, CurrentSession, Db, Owner, Route
from proofdesk.http.web import layout, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.projects import members, projects, roles, timezones
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk.settings import effective_values as shown_settings

router = APIRouter(prefix="/settings", route_class=Route)

Text = Annotated[str, Form()]

DONE = {
    "password": "Password changed. Your other sessions have ended.",
    "sessions": "Your other sessions have ended.",
    "user": "User created.",
    "user_password": "Password changed. The sessions of the user have ended.",
    "user_disabled": "User disabled. Their sessions have ended.",
    "user_enabled": "User enabled. They can sign in again.",
    "user_sources": "The user may bind sources.",
    "user_no_sources": "The user may no longer bind sources. What is bound stays.",
    "user_sessions": "The sessions of the user have ended.",
    "renamed": "Project renamed.",
    "timezone": "Time zone changed.",
    "member": "Member added.",
    "role": "Role changed.",
    "member_removed": "Member removed. They can no longer open the project.",
}

ROLE_LABELS = {
    "viewer": "Viewer: read and search",
    "editor": "Editor: also write drafts and run jobs",
    "approver": "Approver: also approve and send",
    "manager": "Manager: also members and sources",
}


@router.get("")
async def show_settings(request: Request, session: CurrentSession, done: str = "") -> Response:
    """Show the settings."""
    return await render_settings(request, session, notice=DONE.get(done, ""))


async def run_action(request: Request, session: ActiveSession, action: Coroutine[Any, Any, Any], done: str) -> Response:
    """Run an action, then show the page with a toast or with the error."""
    try:
        await action
    except (Invalid, NotFound, Conflict, Denied) as error:
        return await render_settings(request, session, error=error)
    return RedirectResponse(f"/settings?done={done}", 303)


async def render_settings(
    request: Request, session: ActiveSession, *, notice: str = "", error: ProofdeskError | None = None, code: str = ""
) -> Response:
    """Return the whole page. `notice` is the toast, `error` the error, `code` a new bind code."""
    db, settings = request.state.resources.db, request.state.resources.settings
    project_scope = dependencies.active_scope(request, session)
    values = {
        "notice": notice,
        "error": error.message if error else "",
        "account": await _own(db, settings, session),
        "project": await _project(db, settings, project_scope) if project_scope else None,
        "users": await _users(db) if session.is_owner else None,
        "configuration": _configuration(settings) if session.is_owner else None,
        **(await _telegram(db, settings, code) if session.is_owner else {}),
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "settings/page.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


@router.post("/telegram/bind-code")
async def make_bind_code(request: Request, db: Db, settings: Config, session: Owner) -> Response:
    """Show a one-time code for /bind."""
    code, _ = await telegram.create_bind_code(db, settings, dependencies.actor(request, session))
    return await render_settings(request, session, code=code)


@router.post("/telegram/unbind")
async def unbind(request: Request, db: Db, session: Owner) -> Response:
    """Unbind the Telegram account."""
    await telegram.unbind(db, dependencies.actor(request, session))
    return RedirectResponse("/settings", 303)


async def _telegram(db: Database, settings: Settings, code: str) -> dict[str, Any]:
    binding = await telegram.fetch_owner_binding(db, settings)
    return {
        "binding": binding,
        "bound_at": view_models.display_time(binding.bound_at) if binding else None,
        "signup": await signup.status(db, settings),
        "code": code,
        "minutes": commands.CODE_MINUTES,
        "why_no_code": telegram.bind_code_problem(settings),
    }


async def _own(db: Database, settings: Settings, session: UserSession) -> dict[str, Any]:
    return {
        "password_is_set": session.is_owner and settings.auth_password is not None,
        "sessions": [
            {
                "begun": view_models.display_time(s.created_at),
                "seen": view_models.display_time(s.last_seen_at),
                "this": s.id_hash == session.id_hash,
            }
            for s in await sessions.list_sessions(db, session)
        ],
    }


async def _project(db: Database, settings: Settings, project_scope: Scope) -> dict[str, Any]:
    visible = await projects.list_visible(db, project_scope.actor)
    own_zone = await timezones.load_own(db, project_scope)
    zones = {"": f"{settings.project_timezone} (default)"} | {name: name for name in timezones.list_names()}
    return {
        "zones": [Choice(name, label, name == (own_zone or "")) for name, label in zones.items()],
        "zone": own_zone or settings.project_timezone,
        "name": next((p.name for p in visible if p.id == project_scope.project_id), ""),
        "roles": [Choice(role, ROLE_LABELS[role], role == "editor") for role in roles.ROLES],
        "kept": project_scope.may("manager"),
        "members": [
            {"username": m.username, "role": roles.describe(m.role), "added": view_models.display_time(m.added_at)}
            for m in await members.list_members(db, project_scope)
        ],
    }


def _configuration(settings: Settings) -> list[dict[str, Any]]:
    plain = {name.upper() for name, field in Settings.model_fields.items() if getattr(settings, name) == field.default}
    return [
        {"name": name, "value": "" if value is None else str(value), "is_set": name not in plain}
        for name, value in shown_settings(settings).items()
    ]


async def _users(db: Database) -> list[dict[str, Any]]:
    return [
        {
            "username": p.username,
            "is_owner": p.is_owner,
            "disabled": p.disabled_at is not None,
            "binds": p.may_bind_sources,
            "sessions": p.sessions,
            "seen": view_models.display_time(p.last_seen_at) if p.last_seen_at else None,
        }
        for p in await accounts.list_accounts(db)
    ]
