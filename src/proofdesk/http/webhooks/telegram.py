"""Telegram's webhook: updates of the bot that sends signup PINs to the owner."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from proofdesk.accounts import telegram
from proofdesk.accounts.telegram import TelegramNotConfigured
from proofdesk.http.dependencies import Db, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.requests import client_address
from proofdesk.http.responses import Envelope, request_id, success
from proofdesk.http.schemas import optional_field, schema

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Update(JsonBody):
    """An Update of the Bot API; all but messages is ignored."""

    update_id: int = Field(ge=0, lt=2**63, strict=True)
    message: Any = None


Heard = schema("UpdateHeard", owner_bound=optional_field(bool))


async def _proven(request: Request, db: Db, held: Resources, secret: str | None = None) -> bool:
    if held.bot is None:
        raise TelegramNotConfigured
    header = request.headers.get("x-telegram-bot-api-secret-token")
    return await telegram.admit(db, held.settings, client_address(request), header, secret)


@router.post("/telegram/webhook", summary="Telegram's updates", response_model=Heard)
async def webhook(db: Db, held: Resources, proven: Annotated[bool, Depends(_proven)], update: Update) -> Envelope:
    """For Telegram. The secret comes in the header `x-telegram-bot-api-secret-token` or as `secret` in the query."""
    assert held.bot is not None, "the call was let in"
    posted = telegram.Update(update.update_id, update.message, proven, request_id())
    bound = await telegram.handle(db, held.settings, held.bot, posted)
    return success(owner_bound=True) if bound else success()
