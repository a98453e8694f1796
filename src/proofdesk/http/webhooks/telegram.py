"""Telegram's webhook: updates of the bot that sends signup PINs to the owner."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from proofdesk.accounts import telegram
from proofdesk.accounts.telegram import TelegramNotConfigured
from proofdesk.http.dependencies import Db, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.requests import client_address
from proofdesk.http.responses import JsonEnvelope, request_id, success
from proofdesk.http.schemas import optional_field, schema

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class TelegramUpdateBody(JsonBody):
    """An Update of Telegram's Bot API. Everything except messages is ignored."""

    update_id: int = Field(ge=0, lt=2**63, strict=True)
    message: Any = None


TelegramUpdateAnswer = schema("TelegramUpdateReceived", owner_bound=optional_field(bool))


async def _has_secret(request: Request, db: Db, resources: Resources, secret: str | None = None) -> bool:
    if resources.bot is None:
        raise TelegramNotConfigured
    header = request.headers.get("x-telegram-bot-api-secret-token")
    return await telegram.admit_webhook_call(db, resources.settings, client_address(request), header, secret)


@router.post("/telegram/webhook", summary="Receive a Telegram update", response_model=TelegramUpdateAnswer)
async def webhook(
    db: Db, resources: Resources, has_secret: Annotated[bool, Depends(_has_secret)], update: TelegramUpdateBody
) -> JsonEnvelope:
    """For Telegram. The secret is in the header `x-telegram-bot-api-secret-token` or in the query as `secret`."""
    assert resources.bot is not None, "`_has_secret` refuses requests without a bot"
    received = telegram.TelegramUpdate(update.update_id, update.message, has_secret, request_id())
    is_bound = await telegram.handle_update(db, resources.settings, resources.bot, received)
    return success(owner_bound=True) if is_bound else success()
