"""Messages of the bot, to whoever has opened a chat with it."""

import re
from typing import Any

from proofdesk.auth.bot import LONGEST, Bot, TelegramError
from proofdesk.outbound.providers import texts
from proofdesk.outbound.providers.backoff import Backoff, Pause
from proofdesk.outbound.providers.provider import InvalidRecipient, LookupUnsupported, Message, Receipt, SendFailed

_CHAT = re.compile(r"-?[1-9][0-9]{0,15}", re.ASCII)  # the Bot API promises at most 52 significant bits


class Channel:
    """The channel, through one bot. The bot is closed by whoever opened it."""

    channel = "telegram"

    def __init__(self, bot: Bot):
        self._bot = bot
        self._backoff = Backoff()

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """A chat id, negative for a group; `{"text"}` without markup. Raises `InvalidRecipient`, `InvalidPayload`."""
        recipient = recipient_ref.strip()
        if not _CHAT.fullmatch(recipient):
            raise InvalidRecipient(
                "A recipient in Telegram is the number of a chat; the bot knows no @names of people."
            )
        return recipient, {"text": texts.text(payload, LONGEST)}

    async def send(self, message: Message) -> Receipt:
        """One call of sendMessage. Raises `SendFailed`."""
        try:
            sent = await self._bot.send(int(message.recipient_ref), message.payload["text"])
        except TelegramError as error:
            raise _failed(error) from None
        return Receipt(None if sent is None else str(sent))

    async def find(self, message: Message) -> Receipt | None:
        """Bots cannot read what they wrote: raises `LookupUnsupported`."""
        raise LookupUnsupported

    @property
    def pause(self) -> Pause | None:
        """The wait that Telegram asks for now."""
        return self._backoff.pause

    async def aclose(self) -> None:
        """Nothing of its own is open."""


def _failed(error: TelegramError) -> SendFailed:
    return SendFailed(
        error.message,
        # A wrong token is mended by whoever runs the installation; the message is fine.
        permanent=error.permanent and error.status not in (401, 404),
        delivered_unknown=error.perhaps_done,
        retry_after=error.retry_after,
        details=error.details,
    )
