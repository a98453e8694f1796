"""What the channel behind Chatwoot reports of a message after Chatwoot took it."""

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
"""What people call the channels of Chatwoot's inboxes."""


@dataclass(frozen=True)
class DeliveryReport:
    """What the channel behind Chatwoot reports: `sent` while it says nothing. `via`: Chatwoot's type of the inbox."""

    status: str
    error: str | None
    at: datetime | None
    via: str | None

    @property
    def channel(self) -> str:
        """The channel as people call it."""
        return INBOX_CHANNEL_NAMES.get(self.via or "", "the channel")

    @property
    def fields(self) -> dict[str, Any]:
        """The same in plain values."""
        return {"status": self.status, "error": self.error, "at": self.at, "channel": self.channel}

    @property
    def sentence(self) -> str:
        """What became of the message, for a person; nothing while the channel says nothing."""
        if self.status == "failed":
            return f"Failed in {self.channel}: {self.error or 'it gave no reason'}"
        return "" if self.status == "sent" else f"{self.status.capitalize()} in {self.channel}"
