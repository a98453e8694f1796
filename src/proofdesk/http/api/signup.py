"""JSON: request an account, and confirm it with the PIN that the owner received."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk.accounts import signup
from proofdesk.accounts.signup import SignupApplication, SignupConfirmation
from proofdesk.http.api import auth
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import Config, Db, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.requests import check_same_site, client_address
from proofdesk.http.responses import JsonEnvelope, request_id, success
from proofdesk.http.schemas import schema

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class SignupBody(JsonBody):
    """The username and password of the new account."""

    username: str = Field("", max_length=320, description="3 to 32 of a-z 0-9 . _ -")
    password: str = Field("", max_length=4096, description="8 to 128 characters.")


class PinBody(JsonBody):
    """The PIN that the owner received."""

    signup_request_id: str = Field("", max_length=100)
    pin: str = Field("", max_length=100, description="6 digits.")


SignupStatusAnswer = schema(
    "SignupStatus", enabled=bool, has_telegram_token=bool, owner_bound=bool, missing=list[str], message=str
)
PinSentAnswer = schema("PinSent", signup_request_id=UUID, expires_at=datetime, message=str)


@router.get("/signup/status", summary="Get the state of signup", response_model=SignupStatusAnswer)
async def show_status(db: Db, settings: Config) -> JsonEnvelope:
    """Whether signup is enabled. If not, `missing` and `message` say what to configure."""
    status = await signup.status(db, settings)
    return success(enabled=status.enabled, **vars(status))


@router.post("/signup/start", summary="Request an account", response_model=PinSentAnswer)
async def start(request: Request, db: Db, resources: Resources, body: SignupBody) -> JsonEnvelope:
    """Sends a PIN to the owner in Telegram."""
    check_same_site(request, resources.settings)
    application = SignupApplication(body.username, body.password, client_address(request), request_id())
    started = await signup.start(db, resources.settings, resources.bot, application)
    return success(signup_request_id=started.signup_request_id, expires_at=started.expires_at, message="pin_sent")


@router.post("/signup/confirm", summary="Confirm an account", response_model=auth.SessionAnswer)
async def confirm(request: Request, db: Db, settings: Config, body: PinBody) -> JsonEnvelope:
    """Creates the account and signs in: sets the session and CSRF cookies."""
    check_same_site(request, settings)
    token = session_token(request)
    confirmation = SignupConfirmation(body.signup_request_id, body.pin, client_address(request), token, request_id())
    opened = await signup.confirm(db, settings, confirmation)
    return auth.session_response(settings, opened)
