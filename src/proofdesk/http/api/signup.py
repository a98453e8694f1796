"""JSON: ask for an account, confirm it with the owner's PIN, and what Telegram calls."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk.accounts import signup
from proofdesk.accounts.signup import Confirmation, Wish
from proofdesk.http.api import auth
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import Config, Db, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.requests import check_same_site, client_address
from proofdesk.http.responses import Envelope, request_id, success
from proofdesk.http.schemas import schema

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Wanted(JsonBody):
    """The account that somebody wants."""

    username: str = Field("", max_length=320, description="3 to 32 of a-z 0-9 . _ -")
    password: str = Field("", max_length=4096, description="8 to 128 characters.")


class Pin(JsonBody):
    """The PIN that the owner got."""

    signup_request_id: str = Field("", max_length=100)
    pin: str = Field("", max_length=100, description="6 digits.")


State = schema(
    "SignupStatus", enabled=bool, has_telegram_token=bool, owner_bound=bool, missing=list[str], message=str
)  # fmt: skip
Sent = schema("PinSent", signup_request_id=UUID, expires_at=datetime, message=str)


@router.get("/signup/status", summary="Can accounts be made?", response_model=State)
async def show_status(db: Db, settings: Config) -> Envelope:
    """Whether signup is open; else `missing` and `message` tell what to mend."""
    found = await signup.status(db, settings)
    return success(enabled=found.enabled, **vars(found))


@router.post("/signup/start", summary="Ask for an account", response_model=Sent)
async def start(request: Request, db: Db, held: Resources, wanted: Wanted) -> Envelope:
    """Sends a PIN to the owner, in Telegram."""
    check_same_site(request, held.settings)
    wish = Wish(wanted.username, wanted.password, client_address(request), request_id())
    started = await signup.start(db, held.settings, held.bot, wish)
    return success(
        signup_request_id=started.signup_request_id, expires_at=started.expires_at, message="pin_sent"
    )  # fmt: skip


@router.post("/signup/confirm", summary="Confirm with the PIN", response_model=auth.SessionAnswer)
async def confirm(request: Request, db: Db, settings: Config, given: Pin) -> Envelope:
    """Makes the account and signs in: sets the session and CSRF cookies."""
    check_same_site(request, settings)
    token = session_token(request)
    confirmation = Confirmation(given.signup_request_id, given.pin, client_address(request), token, request_id())
    opened = await signup.confirm(db, settings, confirmation)
    return auth.session_response(settings, opened)
