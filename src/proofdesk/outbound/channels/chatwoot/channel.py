"""Messages in conversations. The one channel with lookups: the key of a message is stored with it in Chatwoot."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core import ids
from proofdesk.core.ids import GlobalId
from proofdesk.errors import Invalid
from proofdesk.outbound.channels import payloads
from proofdesk.outbound.channels.backoff import ChannelPause, limit_wait
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidPayload,
    InvalidRecipient,
    LookupUnsupported,
    Receipt,
    SendFailed,
)

MESSAGE_KEY = "proofdesk_message_id"
"""The field of `content_attributes` that holds the id of our message (C-20)."""

MAX_TEXT_LENGTH = 150_000
_CLOCK_TOLERANCE = timedelta(minutes=2)  # between the clocks, and between ids and times of messages
_CONVERSATION_LIMIT_WAIT = 60.0  # seconds after which a conversation accepts messages again (C-22)


class ChatwootChannel:
    """The channel, in one Chatwoot. The caller closes the client.

    `settles_within`: seconds after which Chatwoot has certainly executed or dropped a request; it cuts requests off
    at 15. `retry_timeout`: seconds for which reading a conversation is retried.
    """

    name = "chatwoot"

    def __init__(self, client: ChatwootClient, *, settles_within: float = 20, retry_timeout: float = 10):
        self._client = client.with_retry_timeout(retry_timeout)
        self._settles_within = timedelta(seconds=settles_within)

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the global id of a conversation or contact, and `{"text"}` in Markdown.

        Raises `InvalidRecipient` or `InvalidPayload`.
        """
        recipient = recipient_ref.strip()
        _parse_recipient(recipient)
        text = payloads.check_text(payload, MAX_TEXT_LENGTH)
        if "{{" in text or "{%" in text:
            raise InvalidPayload(
                "`text` must not contain `{{…}}` or `{%…%}`: Chatwoot replaces them, so another text than the approved"
                " one would arrive. Write the values out.",
                details={"field": "text"},
            )
        if payload.get("private"):
            raise InvalidPayload("A private note does not reach the recipient.", details={"field": "private"})
        return recipient, {"text": text}

    async def send(self, message: ChannelMessage) -> Receipt:
        """Post the message once. A repeated POST would store a second message. Raises `SendFailed`."""
        try:
            conversation = await self._find_open_conversation(message)
        except ChatwootError as error:
            raise _failure(error) from error
        body = {
            "content": message.payload["text"],
            "message_type": "outgoing",
            "private": False,
            "content_attributes": {MESSAGE_KEY: message.key},
        }
        try:
            stored = await self._client.post_message(conversation.account_id, conversation.number, body)
        except ChatwootError as error:
            raise _failure(error) from error
        if not isinstance(stored.get("id"), int):
            raise SendFailed("Chatwoot's answer does not contain the stored message.", delivery_unknown=True)
        return Receipt(str(stored["id"]))

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Search what was written since `message.attempted_at`, or everything without it.

        Raises `SendFailed` when Chatwoot does not answer or may still be executing the request, and
        `LookupUnsupported` when a message may be ours and has lost its key, as by deletion.
        """
        started_at, may_be_ours = datetime.now(UTC), False
        try:
            async for conversation in self._possible_conversations(message):
                async for item in self._messages_since(conversation, message.attempted_at):
                    if _content_attributes(item).get(MESSAGE_KEY) == message.key:
                        return Receipt(str(item["id"]))
                    may_be_ours |= message.attempted_at is not None and _may_have_lost_its_key(item, message)
        except ChatwootError as error:
            raise _failure(error) from error
        if may_be_ours:
            raise LookupUnsupported
        if message.attempted_at is not None:
            settled_at = message.attempted_at + self._settles_within
            if started_at < settled_at:
                wait = (settled_at - started_at).total_seconds()
                raise SendFailed("Chatwoot may still be storing the message.", delivery_unknown=True, retry_after=wait)
        return None

    @property
    def pause(self) -> ChannelPause | None:
        """None: a refusal of Chatwoot concerns only its message."""
        return None

    async def aclose(self) -> None:
        """Do nothing: the channel opens no connection of its own."""

    async def _find_open_conversation(self, message: ChannelMessage) -> GlobalId:
        """Return the conversation of the recipient; of a contact, the one with the latest activity that accepts
        messages. Raises `SendFailed`."""
        recipient = _parse_recipient(message.recipient_ref, message)
        if recipient.kind == "conversation":
            conversation = await self._client.conversation(recipient.account_id, recipient.number)
            candidates = [conversation] if conversation is not None and _is_readable(conversation, message) else []
        else:
            candidates = await self._contact_conversations(recipient, message)
        if not candidates:
            raise SendFailed(f"The project no longer has a conversation of {message.recipient_ref}.", permanent=True)
        open_conversations = [c for c in candidates if c.get("can_reply") is not False]
        if not open_conversations:
            raise SendFailed(
                "The conversation accepts no more messages: the channel's time for replies is over.", permanent=True
            )
        latest = max(open_conversations, key=lambda c: (_number(c.get("last_activity_at")), c["id"]))
        return GlobalId("conversation", recipient.project_id, recipient.account_id, latest["id"])

    async def _possible_conversations(self, message: ChannelMessage) -> AsyncIterator[GlobalId]:
        """Yield every conversation that may contain the message."""
        recipient = _parse_recipient(message.recipient_ref, message)
        if recipient.kind == "conversation":
            yield recipient
            return
        for conversation in await self._contact_conversations(recipient, message):
            yield GlobalId("conversation", recipient.project_id, recipient.account_id, conversation["id"])

    async def _contact_conversations(self, contact: GlobalId, message: ChannelMessage) -> list[dict[str, Any]]:
        """Return the conversations of a contact that the project reads."""
        conversations = await self._client.contact_conversations(contact.account_id, contact.number)
        return [conversation for conversation in conversations if _is_readable(conversation, message)]

    async def _messages_since(self, conversation: GlobalId, since: datetime | None) -> AsyncIterator[dict[str, Any]]:
        """Yield the messages of a conversation since a time, the newest pages first."""
        clock_difference = self._client.now() - datetime.now(UTC)
        oldest = 0.0 if since is None else (since + clock_difference - _CLOCK_TOLERANCE).timestamp()
        before: int | None = None
        while page := await self._client.newest_messages(conversation.account_id, conversation.number, before):
            for item in page:
                if _number(item.get("created_at")) >= oldest:
                    yield item
            first_id = min(item["id"] for item in page)
            if min(_number(item.get("created_at")) for item in page) < oldest or first_id == before:
                return
            before = first_id


def _is_readable(conversation: dict[str, Any], message: ChannelMessage) -> bool:
    return message.inbox_ids is None or conversation.get("inbox_id") in message.inbox_ids


def _parse_recipient(recipient_ref: str, message: ChannelMessage | None = None) -> GlobalId:
    kind = "contact" if recipient_ref.startswith("cwc:") else "conversation"
    try:
        recipient = ids.parse(recipient_ref, kind)
    except Invalid as error:
        raise InvalidRecipient("A Chatwoot recipient must be a conversation (cw:…) or a contact (cwc:…).") from error
    if message is not None and recipient.project_id != message.project_id:
        raise SendFailed("The recipient belongs to another project.", permanent=True)
    return recipient


def _may_have_lost_its_key(item: dict[str, Any], message: ChannelMessage) -> bool:
    """Return whether an item may be our message without its key: deletion and Chatwoot's "retry" remove the key."""
    attributes = _content_attributes(item)
    if item.get("message_type") != 1 or item.get("private") or MESSAGE_KEY in attributes:
        return False
    return attributes.get("deleted") is True or item.get("content") == message.payload["text"]


def _content_attributes(item: dict[str, Any]) -> dict[str, Any]:
    attributes = item.get("content_attributes")
    return attributes if isinstance(attributes, dict) else {}


def _number(value: Any) -> float:
    """Return a number of Chatwoot, 0 for any other value."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e15 else 0.0


def _failure(error: ChatwootError) -> SendFailed:
    is_conversation_limit = error.status == 422 and "too many messages" in error.message.lower()
    is_token_invalid = error.status == 401 and not error.forbidden
    is_unavailable = not error.outcome_unknown and (error.status is None or error.status >= 500)
    wait = error.retry_after
    if wait is None and (is_conversation_limit or error.status == 429):
        wait = _CONVERSATION_LIMIT_WAIT
    is_temporary = error.outcome_unknown or is_conversation_limit or is_token_invalid or error.from_proxy
    return SendFailed(
        error.message,
        permanent=error.permanent and not is_temporary,
        delivery_unknown=error.outcome_unknown,
        channel_wide=error.status == 429 or is_unavailable,
        misconfigured=is_token_invalid,
        retry_after=None if wait is None else limit_wait(wait),
        details=error.details,
    )
