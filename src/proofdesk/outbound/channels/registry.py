"""All channels, and those that this installation has configured."""

from typing import Any

from proofdesk.accounts.bot import Bot
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core.mail_relay import parse, sender
from proofdesk.errors import Invalid
from proofdesk.outbound.channels.chatwoot.channel import ChatwootChannel
from proofdesk.outbound.channels.email.channel import EmailChannel, UnsubscribeUrls
from proofdesk.outbound.channels.interface import Channel
from proofdesk.outbound.channels.telegram.channel import ChatMoves, TelegramChannel
from proofdesk.settings import Settings

CHANNELS = {channel.name: channel for channel in (ChatwootChannel, EmailChannel, TelegramChannel)}

REQUIRED_SETTINGS = {
    "chatwoot": "CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN",
    "email": "SMTP_URL and SMTP_FROM",
    "telegram": "TELEGRAM_BOT_TOKEN",
}
"""The settings that each channel needs."""


class InvalidChannel(Invalid):
    """There is no such channel."""

    code = "invalid_channel"


def check_channel(channel: Any) -> str:
    """Return the name of a channel. Raises `InvalidChannel` when there is none of that name."""
    if not isinstance(channel, str) or channel not in CHANNELS:
        raise InvalidChannel(f"`channel` must be one of {', '.join(CHANNELS)}.")
    return channel


def check_message(channel: str, recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return recipient and payload in their normal form, whether or not the channel is configured.

    Raises `InvalidChannel`, `InvalidRecipient` or `InvalidPayload`.
    """
    return CHANNELS[check_channel(channel)].check(recipient_ref, payload)


def build_channels(
    settings: Settings,
    links: UnsubscribeUrls,
    moves: ChatMoves,
    chatwoot_client: ChatwootClient | None,
    bot: Bot | None,
) -> dict[str, Channel]:
    """Return the configured channels, by name."""
    channels: list[Channel] = []
    if chatwoot_client is not None:
        channels.append(ChatwootChannel(chatwoot_client))
    if settings.smtp_url is not None and settings.smtp_from is not None:
        relay, from_address = parse(settings.smtp_url.get_secret_value()), sender(settings.smtp_from)
        timeout, max_sessions = settings.smtp_timeout_seconds, settings.outbound_concurrency
        channels.append(EmailChannel(relay, from_address, links, timeout=timeout, max_sessions=max_sessions))
    if bot is not None:
        channels.append(TelegramChannel(bot, moves))
    return {channel.name: channel for channel in channels}
