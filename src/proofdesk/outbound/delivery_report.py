"""What the channel behind Chatwoot reports of a message after Chatwoot accepted it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

INBOX_CHANNEL_NAMES = {
    "Channel::WebWidget": "the website chat",
    "Channel::Api": "the API inbox",
    "Channel::Email": "e-mail",
    "Channel::Whatsapp": "WhatsApp",
    "Channel::TwilioSms": "Twilio",
    "Channel::Sms": "SMS",
    "Channel::Telegram": "Telegram",
    "Channel::Line": "LINE",
    "Channel::FacebookPage": "Messenger",
    "Channel::Instagram": "Instagram",
    "Channel::Tiktok": "TikTok",
    "Channel::TwitterProfile": "Twitter",
}
"""The names of the channels of Chatwoot's inboxes, for people."""


@dataclass(frozen=True)
class DeliveryReport:
    """The report of the channel: `sent` while there is none. `via` is Chatwoot's type of the inbox."""

    status: str
    error: str | None
    at: datetime | None
    via: str | None

    @property
    def channel(self) -> str:
        """The name of the channel, for people."""
        return INBOX_CHANNEL_NAMES.get(self.via or "", "the channel")

    @property
    def fields(self) -> dict[str, Any]:
        """The report as the API shows it."""
        return {"status": self.status, "error": self.error, "at": self.at, "channel": self.channel}

    @property
    def sentence(self) -> str:
        """The report as a sentence; empty while there is none."""
        if self.status == "failed":
            return f"Failed in {self.channel}: {self.error or 'it gave no reason'}"
        return "" if self.status == "sent" else f"{self.status.capitalize()} in {self.channel}"
