"""JSON: ask for an account, confirm it with the owner's PIN, and what Telegram calls."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from proofdesk.accounts import signup, telegram
from proofdesk.accounts.signup import Confirmation, Wish
from proofdesk.accounts.telegram import TelegramNotConfigured
from proofdesk.http import dependencies as asking
from proofdesk.http.api import auth
from proofdesk.http.api.request_bodies import JsonBody, JsonRoute
from proofdesk.http.api.responses import EnvelopeResponse, request_id, envelope, optional_field, success
from proofdesk.http.dependencies import Config, Db, Resources

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Wanted(JsonBody):
    """The account that somebody wants."""

    username: str = Field("", max_length=320, description="3 to 32 of a-z 0-9 . _ -")
    password: str = Field("", max_length=4096, description="8 to 128 characters.")


class Pin(JsonBody):
    """The PIN that the owner got."""

    signup_request_id: str = Field("", max_length=100)
    pin: str = Field("", max_length=100, description="6 digits.")


class Update(JsonBody):
    """An Update of the Bot API; all but messages is ignored."""

    update_id: int = Field(ge=0, lt=2**63, strict=True)
    message: Any = None


State = envelope(
    "SignupStatus", enabled=bool, has_telegram_token=bool, owner_bound=bool, missing=list[str], message=str
)  # fmt: skip
Sent = envelope("PinSent", signup_request_id=UUID, expires_at=datetime, message=str)
Heard = envelope("UpdateHeard", owner_bound=optional_field(bool))


@router.get("/signup/status", summary="Can accounts be made?", response_model=State)
async def show_status(db: Db, settings: Config) -> EnvelopeResponse:
    """Whether signup is open; else `missing` and `message` tell what to mend."""
    found = await signup.status(db, settings)
    return success(enabled=found.enabled, **vars(found))


@router.post("/signup/start", summary="Ask for an account", response_model=Sent)
async def start(request: Request, db: Db, held: Resources, wanted: Wanted) -> EnvelopeResponse:
    """Sends a PIN to the owner, in Telegram."""
    auth.check_same_site(request, held.settings)
    wish = Wish(wanted.username, wanted.password, auth.client_address(request), request_id())
    started = await signup.start(db, held.settings, held.bot, wish)
    return success(
        signup_request_id=started.signup_request_id, expires_at=started.expires_at, message="pin_sent"
    )  # fmt: skip


@router.post("/signup/confirm", summary="Confirm with the PIN", response_model=auth.SessionAnswer)
async def confirm(request: Request, db: Db, settings: Config, given: Pin) -> EnvelopeResponse:
    """Makes the account and signs in: sets the session and CSRF cookies."""
    auth.check_same_site(request, settings)
    token = asking.session_token(request)
    confirmation = Confirmation(given.signup_request_id, given.pin, auth.client_address(request), token, request_id())
    opened = await signup.confirm(db, settings, confirmation)
    return auth.session_response(settings, opened)


async def _proven(request: Request, db: Db, held: Resources, secret: str | None = None) -> bool:
    if held.bot is None:
        raise TelegramNotConfigured
    header = request.headers.get("x-telegram-bot-api-secret-token")
    return await telegram.admit(db, held.settings, auth.client_address(request), header, secret)


@router.post("/telegram/webhook", summary="Telegram's updates", response_model=Heard)
async def webhook(db: Db, held: Resources, proven: Annotated[bool, Depends(_proven)], update: Update) -> EnvelopeResponse:
    """For Telegram. The secret comes in the header `x-telegram-bot-api-secret-token` or as `secret` in the query."""
    assert held.bot is not None, "the call was let in"
    posted = telegram.Update(update.update_id, update.message, proven, request_id())
    bound = await telegram.handle(db, held.settings, held.bot, posted)
    return success(owner_bound=True) if bound else success()
