"""The channels of notifications: Telegram to the owner, mail to NOTIFY_EMAIL, and a webhook."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from uuid import UUID

import httpx2

from proofdesk.accounts import telegram
from proofdesk.core import mail_relay
from proofdesk.core.certificates import ssl_context
from proofdesk.core.response_limits import SMALL_RESPONSE, limit_bodies
from proofdesk.incidents import texts
from proofdesk.incidents.notification_queries import ClaimedNotification
from proofdesk.jobs.resources import Resources
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import ChannelMessage

TIMEOUT_SECONDS = 20.0
_MAX_TELEGRAM_LENGTH = 4000
ID_HEADER = "X-Proofdesk-Notification"

Send = Callable[[ClaimedNotification], Awaitable[object]]


class NotificationRefused(Exception):
    """A receiver did not accept a notification. The message says why, without secrets."""


class _NoUnsubscribeLinks:
    """Whoever operates Proofdesk does not unsubscribe from its notifications."""

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """Return None."""
        return None


async def configured_channels(resources: Resources) -> Mapping[str, Send]:
    """Return what sends a notification through each configured channel. An attempt raises when it fails."""
    settings, channels = resources.settings, dict[str, Send]()
    if resources.bot is not None and (chat_id := await owner_chat(resources)) is not None:
        channels["telegram"] = _telegram(resources, chat_id)
    if settings.notify_email is not None and settings.smtp_url is not None:
        channels["email"] = _mail(resources, settings.notify_email)
    if settings.notify_webhook_url is not None:
        channels["webhook"] = _webhook(resources, settings.notify_webhook_url.get_secret_value())
    return channels


async def owner_chat(resources: Resources) -> int | None:
    """Return the Telegram chat of the owner, if their account is bound."""
    binding = await telegram.fetch_owner_binding(resources.db, resources.settings)
    return binding.chat_id if binding else resources.settings.telegram_owner_id


def _telegram(resources: Resources, chat_id: int) -> Send:
    async def send(notification: ClaimedNotification) -> None:
        assert resources.bot is not None, "the channel is configured"
        body = texts.body(notification, resources.settings.public_url)
        await resources.bot.send(chat_id, shorten(f"{texts.heading(notification)}\n\n{body}"))

    return send


def _mail(resources: Resources, recipient: str) -> Send:
    async def send(notification: ClaimedNotification) -> None:
        subject = f"[Proofdesk] {texts.heading(notification)}"[:250]
        payload = {"subject": subject, "text": texts.body(notification, resources.settings.public_url)}
        # The id becomes the Message-ID: a mailbox that gets a second copy after a crash recognises it.
        message = ChannelMessage(notification.id, notification.incident_id, recipient, payload)
        async with aclosing(open_mail(resources)) as channel:
            await channel.send(message)

    return send


def open_mail(resources: Resources) -> EmailChannel:
    """Return the channel of mails to people who operate Proofdesk: without links to unsubscribe."""
    settings = resources.settings
    assert settings.smtp_url is not None and settings.smtp_from is not None, "the channel is configured"
    relay, sender = mail_relay.parse(settings.smtp_url.get_secret_value()), mail_relay.sender(settings.smtp_from)
    return EmailChannel(relay, sender, _NoUnsubscribeLinks(), timeout=settings.smtp_timeout_seconds)


def shorten(text: str) -> str:
    """Return a text of which Telegram accepts every character."""
    return text if len(text) <= _MAX_TELEGRAM_LENGTH else f"{text[:_MAX_TELEGRAM_LENGTH]}…"


def _webhook(resources: Resources, url: str) -> Send:
    async def send(notification: ClaimedNotification) -> None:
        content = texts.event(notification, resources.settings.public_url)
        hooks = {"response": [limit_bodies(SMALL_RESPONSE)]}
        async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, verify=ssl_context(), event_hooks=hooks) as http:
            try:
                response = await http.post(url, json=content, headers={ID_HEADER: str(notification.id)})
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:  # its text may hold the address, which is a secret
                raise NotificationRefused(f"The webhook cannot be reached: {type(error).__name__}.") from None
        if not response.is_success:
            raise NotificationRefused(f"The webhook answered {response.status_code}.")

    return send
