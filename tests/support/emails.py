"""Senders, links and messages for e-mail tests."""

from uuid import UUID, uuid4

from proofdesk.core import mail_relay
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import ChannelMessage

FROM = "Kestrel Studio <hello@kestrel.example>"
SENDER = mail_relay.sender(FROM)


class Links:
    """Unsubscribe links as the application makes them, without its database."""

    def __init__(self, base: str | None = "https://desk.example.com/u/"):
        self.base = base

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """Return the link."""
        return None if self.base is None else f"{self.base}{message_id.hex}{'_-x=9' * 80}"


def message(to: str = "Ada@Example.com", **payload: str) -> ChannelMessage:
    """Return a validated message."""
    recipient, checked = EmailChannel.check(to, {"text": "Hello Ada,\n\nyour invoice is <paid> & done."} | payload)
    return ChannelMessage(uuid4(), uuid4(), recipient, checked)
