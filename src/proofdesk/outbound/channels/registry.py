"""The channels there are, and which of them this installation can use."""

from typing import Any

from proofdesk.accounts.bot import Bot
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core.mail_relay import parse, sender
from proofdesk.errors import Invalid
from proofdesk.outbound.channels.chatwoot import channel as chatwoot
from proofdesk.outbound.channels.email import channel as email
from proofdesk.outbound.channels.interface import Channel
from proofdesk.outbound.channels.telegram import channel as telegram
from proofdesk.settings import Settings

CHANNELS = {c.name: c for c in (chatwoot.ChatwootChannel, email.EmailChannel, telegram.TelegramChannel)}

REQUIRED_SETTINGS = {
    "chatwoot": "CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN",
    "email": "SMTP_URL and SMTP_FROM",
    "telegram": "TELEGRAM_BOT_TOKEN",
}
"""What has to be set for each."""


class InvalidChannel(Invalid):
    """There is no such channel."""

    code = "invalid_channel"


def check_channel(channel: str) -> str:
    """The channel, if there is one of that name. Raises `InvalidChannel`."""
    if channel not in CHANNELS:
        raise InvalidChannel(f"A channel is one of {', '.join(CHANNELS)}.")
    return channel


def check_message(channel: str, recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Recipient and payload in their one form, whether or not the channel is configured.

    Raises `InvalidChannel`, `InvalidRecipient` or `InvalidPayload`.
    """
    return CHANNELS[check_channel(channel)].check(recipient_ref, payload)


def build_channels(
    settings: Settings,
    links: email.UnsubscribeUrls,
    moves: telegram.ChatMoves,
    chatwoot_client: ChatwootClient | None,
    bot: Bot | None,
) -> dict[str, Channel]:
    """The channels that can be used, by name."""
    found: list[Channel] = []
    if chatwoot_client is not None:
        found.append(chatwoot.ChatwootChannel(chatwoot_client))
    if settings.smtp_url is not None and settings.smtp_from is not None:
        relay, writer = parse(settings.smtp_url.get_secret_value()), sender(settings.smtp_from)
        timeout, most = settings.smtp_timeout_seconds, settings.outbound_concurrency
        found.append(email.EmailChannel(relay, writer, links, timeout=timeout, most=most))
    if bot is not None:
        found.append(telegram.TelegramChannel(bot, moves))
    return {provider.name: provider for provider in found}
