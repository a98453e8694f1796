"""What delivery asks of a channel, and what a channel may answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from proofdesk.errors import Invalid, Unavailable
from proofdesk.outbound.channels.backoff import ChannelPause


@dataclass(frozen=True)
class ChannelMessage:
    """One approved message, as it goes out. `payload` was checked by the provider's own `check` when it was drafted.

    `inbox_ids`: the inboxes of Chatwoot that the project reads; None: all of the account. `attempted_at`: when its
    first attempt began whose outcome is not known, so that `find` need not look further back.
    """

    id: UUID
    project_id: UUID
    recipient_ref: str
    payload: dict[str, Any]
    inbox_ids: frozenset[int] | None = None
    attempted_at: datetime | None = None

    @property
    def key(self) -> str:
        """What tells this message from all others at the provider: the same at every attempt."""
        return str(self.id)


@dataclass(frozen=True)
class Receipt:
    """The provider has taken the message. `provider_message_id` is its name there, where it gives one."""

    provider_message_id: str | None


class InvalidRecipient(Invalid):
    """Not a recipient of this channel."""

    code = "invalid_recipient_ref"


class InvalidPayload(Invalid):
    """Not a message that this channel can carry."""

    code = "invalid_payload"


class SendFailed(Unavailable):
    """A provider did not take a message, or did not say.

    `permanent`: the same message will not be taken later either. `delivered_unknown`: it may have arrived all the same,
    since the connection broke after the message was handed over. `retry_after` is in seconds, as the provider asks.
    `of_provider`: a condition of the provider and not of the message, which therefore loses no retry by it.
    `misconfigured`: such a condition that lasts until a person acts, as a wrong password.
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
        details: dict[str, Any] | None = None,
    ):
        super().__init__(message, details=details)
        self.permanent = permanent
        self.delivery_unknown = delivery_unknown
        self.channel_wide = channel_wide or misconfigured
        self.misconfigured = misconfigured
        self.retry_after = retry_after


class Channel(Protocol):
    """One channel. No database, no transaction: a call out, with a timeout of its own."""

    name: str

    def check(self, recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The recipient and the payload in their one form (an address in lower case, no unknown field).

        Raises `InvalidRecipient` or `InvalidPayload`. Needs no configuration and calls nobody.
        """
        ...

    async def send(self, message: ChannelMessage) -> Receipt:
        """Hand over one message, once: no retry inside. Raises `SendFailed`."""
        ...

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Whether the provider has it already, looked up by `Message.key`; None when it has not.

        Raises `LookupUnsupported` where the provider cannot tell, `SendFailed` where it does not answer.
        """
        ...

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that the provider asks for now, None when it may be called."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class LookupUnsupported(Exception):
    """This channel cannot be asked afterwards whether it took a message."""
