"""What delivery needs from a channel, and what a channel may answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from proofdesk.errors import Invalid, Unavailable
from proofdesk.outbound.channels.backoff import ChannelPause


@dataclass(frozen=True)
class ChannelMessage:
    """An approved message. `payload` was validated by `Channel.check` when the message was drafted.

    `inbox_ids`: the Chatwoot inboxes that the project reads; None: all of the account. `attempted_at`: when the first
    attempt with an unknown outcome started; `find` need not look further back.
    """

    id: UUID
    project_id: UUID
    recipient_ref: str
    payload: dict[str, Any]
    inbox_ids: frozenset[int] | None = None
    attempted_at: datetime | None = None

    @property
    def key(self) -> str:
        """The idempotency key of the message: the same at every attempt."""
        return str(self.id)


@dataclass(frozen=True)
class Receipt:
    """The channel has accepted the message. `provider_message_id` is its id there, if it gives one."""

    provider_message_id: str | None


class InvalidRecipient(Invalid):
    """The recipient is not valid for this channel."""

    code = "invalid_recipient_ref"


class InvalidPayload(Invalid):
    """The channel cannot carry this message."""

    code = "invalid_payload"


class SendFailed(Unavailable):
    """A channel did not accept a message, or did not answer.

    `permanent`: the channel will never accept this message. `delivery_unknown`: the message may have arrived, because
    the connection broke after it was handed over. `retry_after`: seconds that the channel asks to wait.
    `channel_wide`: a condition of the channel and not of the message, which therefore loses no retry.
    `misconfigured`: such a condition that lasts until a person acts, like a wrong password. `suppression`: the
    recipient cannot be reached at all, for this reason (`bounce`, `invalid` or `blocked`).
    """

    code = "outbound_send_failed"

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        delivery_unknown: bool = False,
        channel_wide: bool = False,
        misconfigured: bool = False,
        retry_after: float | None = None,
        suppression: str | None = None,
        details: dict[str, Any] | None = None,
    ):
        super().__init__(message, details=details)
        self.suppression = suppression
        self.permanent = permanent
        self.delivery_unknown = delivery_unknown
        self.channel_wide = channel_wide or misconfigured
        self.misconfigured = misconfigured
        self.retry_after = retry_after


class LookupUnsupported(Exception):
    """The channel cannot say afterwards whether it accepted a message."""


class Channel(Protocol):
    """One channel. It has no database and no transaction; each call has its own timeout."""

    name: str

    def check(self, recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return recipient and payload in their normal form: an address in lower case, no unknown field.

        Raises `InvalidRecipient` or `InvalidPayload`. Needs no configuration and makes no call.
        """
        ...

    async def send(self, message: ChannelMessage) -> Receipt:
        """Send a message once, without a retry. Raises `SendFailed`."""
        ...

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Look a message up by its key; return None when the channel does not have it.

        Raises `LookupUnsupported` when the channel cannot tell, and `SendFailed` when it does not answer.
        """
        ...

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that the channel asks for now; None when it may be called."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
