"""Forms of the settings page: your own password and sessions, and the users that the owner manages."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.accounts import accounts, sessions
from proofdesk.http import dependencies
from proofdesk.http.dependencies import Config, CurrentSession, Db, Owner, Route
from proofdesk.http.requests import client_address
from proofdesk.http.web import settings as page
from proofdesk.http.web.settings import Text

router = APIRouter(prefix="/settings", route_class=Route)


@router.post("/password")
async def change_password(
    request: Request, db: Db, settings: Config, session: CurrentSession, current: Text = "", new: Text = ""
) -> Response:
    """Change the password of the signed-in user."""
    by, address = dependencies.actor(request, session), client_address(request)
    action = accounts.change_own_password(db, settings, session, current, new, by, address)
    return await page.run_action(request, session, action, "password")


@router.post("/sessions/end")
async def end_other_sessions(request: Request, db: Db, session: CurrentSession) -> Response:
    """End all other sessions of the signed-in user."""
    action = sessions.end_other_sessions(db, session, request.scope.get(dependencies.REQUEST_ID))
    return await page.run_action(request, session, action, "sessions")


@router.post("/users")
async def create_user(request: Request, db: Db, owner: Owner, username: Text = "", password: Text = "") -> Response:
    """Create a user."""
    action = accounts.create(db, username, password, dependencies.actor(request, owner))
    return await page.run_action(request, owner, action, "user")


@router.post("/users/password")
async def set_user_password(
    request: Request, db: Db, owner: Owner, username: Text = "", password: Text = ""
) -> Response:
    """Set the password of a user."""
    action = accounts.set_password(db, username, password, dependencies.actor(request, owner))
    return await page.run_action(request, owner, action, "user_password")


@router.post("/users/disable")
async def disable_user(request: Request, db: Db, owner: Owner, username: Text = "") -> Response:
    """Disable a user."""
    action = accounts.disable(db, username, dependencies.actor(request, owner))
    return await page.run_action(request, owner, action, "user_disabled")


@router.post("/users/enable")
async def enable_user(request: Request, db: Db, owner: Owner, username: Text = "") -> Response:
    """Enable a disabled user."""
    action = accounts.enable(db, username, dependencies.actor(request, owner))
    return await page.run_action(request, owner, action, "user_enabled")


@router.post("/users/sources")
async def allow_sources(request: Request, db: Db, owner: Owner, username: Text = "", allowed: Text = "") -> Response:
    """Allow a user to bind sources, or no longer."""
    action = accounts.allow_sources(db, username, dependencies.actor(request, owner), allowed=bool(allowed))
    return await page.run_action(request, owner, action, "user_sources" if allowed else "user_no_sources")


@router.post("/users/end-sessions")
async def end_user_sessions(request: Request, db: Db, owner: Owner, username: Text = "") -> Response:
    """End all sessions of a user."""
    action = accounts.end_sessions(db, username, dependencies.actor(request, owner))
    return await page.run_action(request, owner, action, "user_sessions")
