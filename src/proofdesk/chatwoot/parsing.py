"""Items of Chatwoot, validated and converted to rows. An item that cannot be stored becomes an `InvalidItem`."""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from proofdesk.chatwoot import lenient_json
from proofdesk.chatwoot.items import (
    ChatwootContact,
    ChatwootConversation,
    ChatwootMessage,
    ChatwootPerson,
    storable_text,
)

MESSAGE_TYPES = ("incoming", "outgoing", "activity", "template")
SENDER_TYPES = {"contact": "contact", "user": "agent", "agent_bot": "bot", "captain_assistant": "bot"}


@dataclass(frozen=True)
class InvalidItem:
    """An item that cannot be stored: its id, the reason, and the item itself (JSON in ASCII)."""

    entity: str
    entity_id: str
    conversation_id: int | None
    reason: str
    payload: str


@dataclass
class ParsedItems:
    """Rows ready to be stored, and the items that are invalid."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    invalid: list[InvalidItem] = field(default_factory=list)


def parse_contacts(items: list[Any]) -> ParsedItems:
    """Return rows of `cw_contacts`."""
    return _parse("contact", ChatwootContact, items, _contact_row)


def parse_conversations(items: list[Any]) -> ParsedItems:
    """Return rows of `cw_conversations`, each with `read_mark` and `newest_id` (0 when it has no message)."""
    return _parse("conversation", ChatwootConversation, items, _conversation_row)


def parse_messages(items: list[Any], conversation_id: int) -> ParsedItems:
    """Return rows of `cw_messages` of one conversation."""
    return _parse("message", ChatwootMessage, items, _message_row, conversation_id)


def parse_inboxes(items: list[Any]) -> list[dict[str, Any]]:
    """Return rows of `cw_inboxes`. Other fields are ignored: they hold mail passwords in clear text."""
    by_id = {i["id"]: i for i in items if isinstance(i, dict) and is_id(i.get("id"))}
    return [
        {"inbox_id": inbox_id, "name": _text(inbox.get("name")), "channel_type": _text(inbox.get("channel_type"))}
        for inbox_id, inbox in sorted(by_id.items())
    ]


def list_senders(items: list[Any]) -> list[Any]:
    """Return the contacts of conversations: anonymous visitors are in no other list (C-16)."""
    metas = (i.get("meta") for i in items if isinstance(i, dict))
    return [m["sender"] for m in metas if isinstance(m, dict) and m.get("sender")]


def item_ids(items: list[Any]) -> set[int]:
    """Return the ids of items, whether or not the items can be stored."""
    return set(ordered_item_ids(items))


def ordered_item_ids(items: list[Any]) -> list[int]:
    """Return the ids of items in their order, whether or not the items can be stored."""
    return [i["id"] for i in items if isinstance(i, dict) and is_id(i.get("id"))]


def is_id(value: Any) -> bool:
    """Return whether a value can be an id: a positive number that a bigint holds (C-14)."""
    return type(value) is int and 0 < value < 2**63


def objects_with_id(items: list[Any]) -> list[dict[str, Any]]:
    """Return the items that are objects with an id."""
    return [item for item in items if isinstance(item, dict) and is_id(item.get("id"))]


def filter_by_inbox(items: list[Any], inbox_ids: frozenset[int] | None) -> list[Any]:
    """Return the items of these inboxes (None: all). An item without a valid inbox stays, to be quarantined."""
    if inbox_ids is None:
        return items
    return [i for i in items if not isinstance(i, dict) or _inbox(i) is None or _inbox(i) in inbox_ids]


def _inbox(item: dict[str, Any]) -> int | None:
    inbox = item.get("inbox_id")
    return inbox if isinstance(inbox, int) else None


M = TypeVar("M", bound=BaseModel)


def _parse(
    entity: str,
    model: type[M],
    items: list[Any],
    build_row: Callable[[M, dict[str, Any]], dict[str, Any]],
    conversation_id: int | None = None,
) -> ParsedItems:
    parsed, seen = ParsedItems(), set[int]()
    for item in items:
        try:
            stored = build_row(model.model_validate(item), item)
            # Only the stored fields count: a list item also embeds its contact and its newest message.
            reason = lenient_json.find_unstorable(json.dumps(stored, allow_nan=False))
        except ValidationError as error:
            first = error.errors()[0]
            stored, reason = {}, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        except RecursionError:
            stored, reason = {}, "values nested too deeply"
        except (ValueError, OverflowError) as error:
            stored, reason = {}, f"a value that is not JSON: {error}"
        if reason is not None:
            parsed.invalid.append(_invalid_item(entity, item, conversation_id, reason))
        elif conversation_id not in (None, stored.get("conversation_id")):
            reason = f"it names conversation {stored['conversation_id']}, and was listed in {conversation_id}"
            parsed.invalid.append(_invalid_item(entity, item, conversation_id, reason))
        elif (stored_id := stored[f"{entity}_id"]) not in seen:
            seen.add(stored_id)
            parsed.rows.append(stored)
    # Rows always have the same order, so that two writers of the same rows cannot deadlock.
    parsed.rows.sort(key=lambda row: row[f"{entity}_id"])
    return parsed


def _invalid_item(entity: str, item: Any, conversation_id: int | None, reason: str) -> InvalidItem:
    try:
        payload = json.dumps(item)
    except RecursionError:
        payload = json.dumps({"id": item.get("id")} if isinstance(item, dict) else None)
    return InvalidItem(
        entity, _entity_id(item, payload), conversation_id, storable_text(reason)[:500], payload[:20_000]
    )


def rejected_row(entity: str, row: dict[str, Any], reason: str) -> InvalidItem:
    """Return the invalid item for a row that the database refused."""
    conversation_id = row["conversation_id"] if entity == "message" else None
    return _invalid_item(entity, {"id": row[f"{entity}_id"]} | row, conversation_id, reason)


def _entity_id(item: Any, payload: str) -> str:
    item_id = item.get("id") if isinstance(item, dict) else None
    return json.dumps(item_id)[:100] if item_id is not None else f"without id: {zlib.crc32(payload.encode()):x}"


def _text(value: Any) -> str:
    return storable_text(value) if isinstance(value, str) else ""


def _contact_row(contact: ChatwootContact, _: dict[str, Any]) -> dict[str, Any]:
    row = dict(vars(contact))
    row["contact_id"] = row.pop("id")
    return row


def _conversation_row(conversation: ChatwootConversation, item: dict[str, Any]) -> dict[str, Any]:
    row = conversation.model_dump(mode="json", exclude={"meta", "id", "first_reply_created_at"})
    meta, newest = conversation.meta, _newest(item)
    sender = next(iter(list_senders([item])), None)
    row |= {
        "conversation_id": conversation.id,
        "contact_id": sender["id"] if isinstance(sender, dict) and is_id(sender.get("id")) else None,
        "first_reply_at": conversation.first_reply_created_at,
        "assignee_id": meta.assignee.id if meta.assignee else None,
        "assignee_name": meta.assignee.name if meta.assignee else None,
        "team_id": meta.team.id if meta.team else None,
        "newest_id": newest.get("id", 0),
        # C-44: these four values show cheaply that a conversation may have new messages.
        "read_mark": f"{item['updated_at']}/{item['last_activity_at']}/{newest.get('id')}/{newest.get('updated_at')}",
    }
    return row


def _newest(item: dict[str, Any]) -> dict[str, Any]:
    embedded = item.get("messages")
    first = embedded[0] if isinstance(embedded, list) and embedded else None
    return first if isinstance(first, dict) and is_id(first.get("id")) else {}


def _message_row(message: ChatwootMessage, item: dict[str, Any]) -> dict[str, Any]:
    row = dict(vars(message))  # plain values; dumping the model copies each, which takes longer than checking
    sender: ChatwootPerson | None = row.pop("sender")
    row |= {
        "message_id": row.pop("id"),
        "message_type": MESSAGE_TYPES[message.message_type],
        "deleted": message.content_attributes.get("deleted") is True,
        "sender_type": SENDER_TYPES.get(sender.type or "", "system") if sender else _sender_without_author(message),
        "sender_id": sender.id if sender else None,
        "sender_name": sender.name if sender else None,
    }
    return row


def _sender_without_author(message: ChatwootMessage) -> str:
    # Automation, templates and replies typed in the channel's own app come without a sender.
    return {0: "contact", 1: "agent"}.get(message.message_type, "system")
