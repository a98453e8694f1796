"""Messages of the bot, to whoever has opened a chat with it."""

import re
import time
from typing import Any, Protocol
from uuid import UUID

from proofdesk.accounts.bot import MAX_TEXT_LENGTH, Bot, TelegramError
from proofdesk.outbound.channels import payloads
from proofdesk.outbound.channels.backoff import ChannelBackoff, ChannelPause
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidRecipient,
    LookupUnsupported,
    Receipt,
    SendFailed,
)

_CHAT = re.compile(r"-?[1-9][0-9]{0,15}", re.ASCII)  # the Bot API promises at most 52 significant bits


class ChatMoves(Protocol):
    """The numbers of groups that became supergroups."""

    async def get_chat_id(self, project_id: UUID, chat: int) -> int:
        """The number of a chat now: another one when its group moved."""
        ...

    async def record_move(self, project_id: UUID, chat: int, moved_to: int) -> None:
        """Keep the new number of a chat."""
        ...


class TelegramChannel:
    """The channel, through one bot. The bot is closed by whoever opened it."""

    name = "telegram"

    def __init__(self, bot: Bot, moves: ChatMoves):
        self._bot, self._moves = bot, moves
        self._backoff = ChannelBackoff()

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """A chat id, negative for a group; `{"text"}` without markup. Raises `InvalidRecipient`, `InvalidPayload`."""
        recipient = recipient_ref.strip()
        if not _CHAT.fullmatch(recipient):
            raise InvalidRecipient(
                "A recipient in Telegram is the number of a chat; the bot knows no @names of people."
            )
        return recipient, {"text": payloads.check_text(payload, MAX_TEXT_LENGTH)}

    async def send(self, message: ChannelMessage) -> Receipt:
        """One call of sendMessage, and a second one when the first said that the group has another number now.

        Raises `SendFailed`.
        """
        pause, began = self.pause, time.monotonic()
        if pause is not None and pause.hold > 0:
            raise SendFailed(pause.reason, channel_wide=True, retry_after=pause.wait)
        try:
            sent = await self._send(message)
        except TelegramError as error:
            if error.status == 429:
                # Which of its limits it is, of the bot or of the chat, Telegram does not say.
                self._backoff.record_refusal(error.message, began, at_least=error.retry_after or 1, everywhere=True)
            raise _failed(error) from None
        self._backoff.record_success()
        return Receipt(None if sent is None else str(sent))

    async def _send(self, message: ChannelMessage) -> int | None:
        chat, text = int(message.recipient_ref), message.payload["text"]
        current = await self._moves.get_chat_id(message.project_id, chat)
        try:
            return await self._bot.send(current, text)
        except TelegramError as error:
            if error.migrate_to is None:
                raise
            await self._moves.record_move(message.project_id, chat, error.migrate_to)
            return await self._bot.send(error.migrate_to, text)

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Bots cannot read what they wrote: raises `LookupUnsupported`."""
        raise LookupUnsupported

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that Telegram asks for now."""
        return self._backoff.pause

    async def aclose(self) -> None:
        """Nothing of its own is open."""


def _failed(error: TelegramError) -> SendFailed:
    return SendFailed(
        error.message,
        # A wrong token is mended by whoever runs the installation; the message is fine.
        permanent=error.permanent and error.status not in (401, 404),
        delivery_unknown=error.outcome_unknown,
        misconfigured=error.status in (401, 404),
        channel_wide=error.status == 429 or (error.status is None and not error.outcome_unknown),
        retry_after=error.retry_after,
        details=error.details,
    )
