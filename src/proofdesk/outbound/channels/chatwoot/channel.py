"""Messages into conversations. The one channel that can be asked afterwards: our key is stored with the message."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core import ids
from proofdesk.core.ids import GlobalId
from proofdesk.errors import Invalid
from proofdesk.outbound.channels import payloads
from proofdesk.outbound.channels.backoff import ChannelPause
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidPayload,
    InvalidRecipient,
    LookupUnsupported,
    Receipt,
    SendFailed,
)

MESSAGE_KEY = "proofdesk_message_id"
"""Of `content_attributes`: which of our messages it is (C-20)."""

MAX_TEXT_LENGTH = 150_000
_SLACK = timedelta(minutes=2)  # between the clocks, and between ids and times of messages
_TOO_MANY = 60.0  # seconds after which a conversation takes messages again (C-22)


class ChatwootChannel:
    """The channel, in one Chatwoot. The client is closed by whoever opened it.

    `settles_within`: seconds after which Chatwoot has certainly carried out or dropped a request; it cuts them at 15.
    `patience`: seconds for which a look at a conversation is retried.
    """

    name = "chatwoot"

    def __init__(self, client: ChatwootClient, *, settles_within: float = 20, patience: float = 10):
        self._client = client.with_retry_timeout(patience)
        self._settles_within = timedelta(seconds=settles_within)

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The global id of a conversation or of a contact; `{"text"}`, in Markdown. Raises `InvalidRecipient`,
        `InvalidPayload`."""
        recipient = recipient_ref.strip()
        _parsed(recipient)
        text = payloads.check_text(payload, MAX_TEXT_LENGTH)
        if "{{" in text or "{%" in text:
            raise InvalidPayload(
                "Chatwoot fills in `{{…}}` and `{%…%}` itself, so another text than the approved one would arrive:"
                " write out what is meant.",
                details={"field": "text"},
            )
        if payload.get("private"):
            raise InvalidPayload("A private note reaches no recipient.", details={"field": "private"})
        return recipient, {"text": text}

    async def send(self, message: ChannelMessage) -> Receipt:
        """One POST, never repeated here: Chatwoot would store a second message. Raises `SendFailed`."""
        try:
            place = await self._answerable(message)
        except ChatwootError as error:
            raise _failed(error) from error
        body = {
            "content": message.payload["text"],
            "message_type": "outgoing",
            "private": False,
            "content_attributes": {MESSAGE_KEY: message.key},
        }
        try:
            stored = await self._client.post_message(place.account_id, place.number, body)
        except ChatwootError as error:
            raise _failed(error) from error
        if not isinstance(stored.get("id"), int):
            raise SendFailed("Chatwoot did not answer with the message that it stored.", delivery_unknown=True)
        return Receipt(str(stored["id"]))

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Look through what was written since `message.attempted_at`, or through everything without it.

        Raises `SendFailed` when Chatwoot does not answer or may still be at it, and `LookupUnsupported` when a
        message is there that may be ours and has lost its key, as by deletion.
        """
        asked_at, nameless = datetime.now(UTC), False
        try:
            async for place in self._places(message):
                async for item in self._written(place, message.attempted_at):
                    if _attributes(item).get(MESSAGE_KEY) == message.key:
                        return Receipt(str(item["id"]))
                    nameless = nameless or (message.attempted_at is not None and _may_have_lost_its_key(item, message))
        except ChatwootError as error:
            raise _failed(error) from error
        if nameless:
            raise LookupUnsupported
        if message.attempted_at is not None and asked_at < (settled := message.attempted_at + self._settles_within):
            wait = (settled - asked_at).total_seconds()
            raise SendFailed("Chatwoot may still be storing the message.", delivery_unknown=True, retry_after=wait)
        return None

    @property
    def pause(self) -> ChannelPause | None:
        """None: a refusal of Chatwoot holds back only its message."""
        return None

    async def aclose(self) -> None:
        """Nothing of its own is open."""

    async def _answerable(self, message: ChannelMessage) -> GlobalId:
        """The conversation that is meant; of a contact, the one with the latest activity that can be answered."""
        recipient = _parsed(message.recipient_ref, message)
        if recipient.kind == "conversation":
            found = await self._client.conversation(recipient.account_id, recipient.number)
            candidates = [] if found is None or not _may_see(found, message) else [found]
        else:
            candidates = await self._conversations(recipient, message)
        if not candidates:
            raise SendFailed(f"The project sees no conversation of {message.recipient_ref} any more.", permanent=True)
        open_ones = [c for c in candidates if c.get("can_reply") is not False]
        if not open_ones:
            raise SendFailed(
                "The conversation takes no answer any more: the channel's time for replies is over.", permanent=True
            )
        latest = max(open_ones, key=lambda c: (c.get("last_activity_at") or 0, c["id"]))
        return GlobalId("conversation", recipient.project_id, recipient.account_id, latest["id"])

    async def _places(self, message: ChannelMessage) -> AsyncIterator[GlobalId]:
        """Every conversation that the message may have gone into."""
        recipient = _parsed(message.recipient_ref, message)
        if recipient.kind == "conversation":
            yield recipient
            return
        for found in await self._conversations(recipient, message):
            yield GlobalId("conversation", recipient.project_id, recipient.account_id, found["id"])

    async def _conversations(self, contact: GlobalId, message: ChannelMessage) -> list[dict[str, Any]]:
        """Those of a contact that the project may see."""
        listed = await self._client.contact_conversations(contact.account_id, contact.number)
        return [c for c in listed if _may_see(c, message)]

    async def _written(self, place: GlobalId, since: datetime | None) -> AsyncIterator[dict[str, Any]]:
        """Messages of a conversation, newest pages first, back to a time."""
        ahead = self._client.now() - datetime.now(UTC)
        oldest = 0.0 if since is None else (since + ahead - _SLACK).timestamp()
        before: int | None = None
        while page := await self._client.newest_messages(place.account_id, place.number, before):
            for item in page:
                if _time(item) >= oldest:
                    yield item
            before = min(item["id"] for item in page)
            if min(_time(item) for item in page) < oldest:
                return


def _may_see(conversation: dict[str, Any], message: ChannelMessage) -> bool:
    return message.inbox_ids is None or conversation.get("inbox_id") in message.inbox_ids


def _parsed(recipient_ref: str, message: ChannelMessage | None = None) -> GlobalId:
    kind = "contact" if recipient_ref.startswith("cwc:") else "conversation"
    try:
        found = ids.parse(recipient_ref, kind)
    except Invalid as error:
        raise InvalidRecipient("A recipient in Chatwoot is a conversation (cw:…) or a contact (cwc:…).") from error
    if message is not None and found.project_id != message.project_id:
        raise SendFailed("The recipient belongs to another project.", permanent=True)
    return found


def _may_have_lost_its_key(item: dict[str, Any], message: ChannelMessage) -> bool:
    """Deleting a message, and Chatwoot's own "retry", empty its attributes."""
    attributes = _attributes(item)
    if item.get("message_type") != 1 or item.get("private") or MESSAGE_KEY in attributes:
        return False
    return attributes.get("deleted") is True or item.get("content") == message.payload["text"]


def _attributes(item: dict[str, Any]) -> dict[str, Any]:
    found = item.get("content_attributes")
    return found if isinstance(found, dict) else {}


def _time(item: dict[str, Any]) -> float:
    at = item.get("created_at")
    return float(at) if isinstance(at, int | float) else 0.0


def _failed(error: ChatwootError) -> SendFailed:
    crowded = error.status == 422 and "too many messages" in error.message.lower()
    broken_token = error.status == 401 and not error.forbidden
    wait = error.retry_after
    if wait is None and (crowded or error.status == 429):
        wait = _TOO_MANY
    unavailable = not error.outcome_unknown and (error.status is None or error.status >= 500)
    return SendFailed(
        error.message,
        permanent=error.permanent and not (error.outcome_unknown or crowded or broken_token or error.from_proxy),
        delivery_unknown=error.outcome_unknown,
        channel_wide=error.status == 429 or unavailable,
        misconfigured=broken_token,
        retry_after=wait,
        details=error.details,
    )
