"""Contacts, conversations and messages as Chatwoot sends them, with the fields that are stored."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()


def is_time(value: Any) -> bool:
    """Return whether a value can be a time in Unix seconds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and _EARLIEST <= value <= _LATEST


def _seconds(value: Any) -> str:
    """Return Unix seconds (integers; floats for `updated_at`) as ISO 8601 text in UTC."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"not a time in Unix seconds: {value!r:.80}")
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError(f"a time outside the years 2000 to 2100: {value!r:.80}")
    return datetime.fromtimestamp(value, UTC).isoformat()


def _seconds_or_none(value: Any) -> str | None:
    return None if value in (0, None) else _seconds(value)  # Chatwoot says 0 where it has none


Id = Annotated[int, Field(strict=True, gt=0, lt=2**63)]
Time = Annotated[str, BeforeValidator(_seconds)]
OptionalTime = Annotated[str | None, BeforeValidator(_seconds_or_none)]
Json = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]


class ChatwootContact(BaseModel):
    """A contact in any form in which Chatwoot sends one."""

    id: Id
    name: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    additional_attributes: Json = {}
    custom_attributes: Json = {}
    created_at: OptionalTime = None


class ChatwootPerson(BaseModel):
    """The sender or assignee that a message or conversation names."""

    id: Id
    # An unusual name must not keep the message from being stored: the storable part of the name is kept.
    name: Annotated[str | None, BeforeValidator(lambda value: None if value is None else storable_text(value))] = None
    type: str | None = None


class _Team(BaseModel):
    id: Id


class _Meta(BaseModel):
    assignee: ChatwootPerson | None = None
    team: _Team | None = None


class ChatwootConversation(BaseModel):
    """A conversation as lists send it. `id` is the display id."""

    id: Id
    uuid: str | None = None
    inbox_id: Id
    status: Literal["open", "resolved", "pending", "snoozed"]
    priority: str | None = None
    labels: list[str] = []
    additional_attributes: Json = {}
    custom_attributes: Json = {}
    snoozed_until: datetime | None = None
    waiting_since: OptionalTime = None
    first_reply_created_at: OptionalTime = None
    last_activity_at: Time
    created_at: Time
    updated_at: Time
    meta: _Meta = Field(default_factory=_Meta)


class ChatwootMessage(BaseModel):
    """A message as the message list sends it."""

    id: Id
    conversation_id: Id
    inbox_id: Id
    message_type: Annotated[int, Field(strict=True, ge=0, le=3)]
    content: str | None
    content_type: str = "text"
    content_attributes: Json = {}
    private: bool = False
    status: str | None = None
    source_id: str | None = None
    sender: ChatwootPerson | None = None
    attachments: list[dict[str, Any]] = Field(default_factory=list)
    created_at: Time


def storable_text(value: Any) -> str:
    """Return the text without characters that the database cannot hold."""
    return str(value or "").replace("\x00", "").encode("utf-8", "replace").decode()
