"""Messages of the bot, to people who have opened a chat with it."""

import re
import time
from typing import Any, Protocol
from uuid import UUID

from proofdesk.accounts.bot import MAX_TEXT_LENGTH, Bot, TelegramError
from proofdesk.outbound.channels import payloads
from proofdesk.outbound.channels.backoff import ChannelBackoff, ChannelPause, limit_wait
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidRecipient,
    LookupUnsupported,
    Receipt,
    SendFailed,
)

_CHAT_ID = re.compile(r"-?[1-9][0-9]{0,15}", re.ASCII)  # the Bot API promises at most 52 significant bits


class ChatMoves(Protocol):
    """The present ids of groups that became supergroups."""

    async def get_chat_id(self, project_id: UUID, chat_id: int) -> int:
        """Return the present id of a chat, which differs when its group has moved."""
        ...

    async def record_move(self, project_id: UUID, chat_id: int, new_chat_id: int) -> None:
        """Store the new id of a chat."""
        ...


class TelegramChannel:
    """The channel, through one bot. The caller closes the bot."""

    name = "telegram"

    def __init__(self, bot: Bot, moves: ChatMoves):
        self._bot, self._moves = bot, moves
        self._backoff = ChannelBackoff()

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the chat id (negative for a group) and `{"text"}` without markup.

        Telegram documents a limit of 4,096 characters and counts offsets in UTF-16 code units, so the limit is counted
        in these. Raises `InvalidRecipient` or `InvalidPayload`.
        """
        recipient = recipient_ref.strip()
        if not _CHAT_ID.fullmatch(recipient):
            raise InvalidRecipient("A Telegram recipient must be the numeric id of a chat. The bot cannot use @names.")
        return recipient, {"text": payloads.check_text(payload, MAX_TEXT_LENGTH, payloads.count_utf16)}

    async def send(self, message: ChannelMessage) -> Receipt:
        """Call sendMessage once, and once more when the first answer says that the group has a new id.

        Raises `SendFailed`.
        """
        pause, started = self.pause, time.monotonic()
        if pause is not None and pause.hold > 0:
            raise SendFailed(pause.reason, channel_wide=True, retry_after=pause.wait)
        try:
            message_id = await self._send(message)
        except TelegramError as error:
            if error.status == 429:
                # Telegram does not say whether its limit concerns the bot or the chat.
                wait = error.retry_after or 1
                self._backoff.record_refusal(error.message, started, at_least=wait, all_workers=True)
            raise _failure(error) from None
        self._backoff.record_success()
        return Receipt(None if message_id is None else str(message_id))

    async def _send(self, message: ChannelMessage) -> int | None:
        chat_id, text = int(message.recipient_ref), message.payload["text"]
        current_id = await self._moves.get_chat_id(message.project_id, chat_id)
        try:
            return await self._bot.send(current_id, text)
        except TelegramError as error:
            new_id = error.migrate_to
            if new_id is None or not _CHAT_ID.fullmatch(str(new_id)):
                raise
            await self._moves.record_move(message.project_id, chat_id, new_id)
            return await self._bot.send(new_id, text)

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Raise `LookupUnsupported`: a bot cannot read its own messages."""
        raise LookupUnsupported

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that Telegram asks for now."""
        return self._backoff.pause

    async def aclose(self) -> None:
        """Do nothing: the channel opens no connection of its own."""


_UNREACHABLE = (("blocked by the user", "blocked"), ("user is deactivated", "invalid"))


def _failure(error: TelegramError) -> SendFailed:
    return SendFailed(
        error.message,
        # A wrong token is a fault of the configuration; the message is fine.
        permanent=error.permanent and error.status not in (401, 404),
        delivery_unknown=error.outcome_unknown,
        misconfigured=error.status in (401, 404),
        channel_wide=error.status == 429 or (error.status is None and not error.outcome_unknown),
        retry_after=None if error.retry_after is None else limit_wait(error.retry_after),
        suppression=next((reason for text, reason in _UNREACHABLE if text in error.message.lower()), None),
        details=error.details,
    )
