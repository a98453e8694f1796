"""How data looks on a page: plain values for templates."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import humanize

from proofdesk.chatwoot.available_sources import AvailableSources
from proofdesk.conversations.queries import ContactRow, ConversationMessage, ConversationRow
from proofdesk.core import ids
from proofdesk.dashboard.overview import ProjectContents
from proofdesk.projects.source_queries import Source
from proofdesk.search.results import Hit
from proofdesk.settings import Settings

KINDS = {
    "auto_reply": "Automatic reply",
    "bounce": "Bounce",
    "reaction": "Reaction",
    "survey": "Survey",
    "bot": "Bot",
    "template": "Template",
    "activity": "Activity",
    "note": "Private note",
    "deleted": "Deleted",
}
"""The label of each kind of message, except ordinary ones."""
ROLES = {"contact": "Contact", "agent": "Agent", "bot": "Bot", "system": "System"}


@dataclass(frozen=True)
class DisplayTime:
    """A time as an ISO string and as text."""

    iso: str
    text: str


@dataclass(frozen=True)
class SnippetPart:
    """A part of a snippet; `is_match` marks a match of the query."""

    text: str
    is_match: bool


@dataclass(frozen=True)
class EvidenceCard:
    """A hit of a search, with links to its message."""

    message: str
    author: str
    role: str
    sender: str
    snippet: list[SnippetPart]
    written: DisplayTime
    source_url: str
    thread_url: str
    compose_url: str
    by_meaning: str
    by_words: str


@dataclass(frozen=True)
class ConversationHits:
    """The hits in one conversation."""

    conversation: int
    contact: str
    inbox: str
    status: str
    cards: list[EvidenceCard]


@dataclass(frozen=True)
class ConversationView:
    """A conversation."""

    number: int
    url: str
    contact: str
    contact_url: str
    inbox: str
    status: str
    assignee: str
    labels: list[str]
    active: DisplayTime


@dataclass(frozen=True)
class ContactView:
    """A contact."""

    name: str
    url: str
    email: str
    phone: str
    identifier: str
    updated: DisplayTime


@dataclass(frozen=True)
class ThreadMessage:
    """A message of a conversation. `note` names an unusual kind; `failed` is why it was not delivered."""

    author: str
    role: str
    sender: str
    text: str
    note: str
    failed: str | None
    attachments: int
    written: DisplayTime
    cited: bool


def group_hits(hits: list[Hit]) -> list[ConversationHits]:
    """Group hits by conversation, the best conversation first."""
    groups: dict[str, ConversationHits] = {}
    for hit in hits:
        inbox = hit.inbox_name or f"Inbox {hit.inbox_id}"
        group = ConversationHits(hit.conversation_id, hit.contact["name"] or "", inbox, hit.conversation_status, [])
        groups.setdefault(hit.conversation_global_id, group).cards.append(evidence_card(hit))
    return list(groups.values())


def conversation_view(project_id: UUID, conversation: ConversationRow) -> ConversationView:
    """Return a conversation as a row of a list."""
    return ConversationView(
        number=conversation.conversation_id,
        url=thread_url(ids.conversation(project_id, conversation.account_id, conversation.conversation_id)),
        contact=conversation.contact_name or "Unknown contact",
        contact_url=contact_url(project_id, conversation.account_id, conversation.contact_id),
        inbox=conversation.inbox_name or f"Inbox {conversation.inbox_id}",
        status=conversation.status,
        assignee=conversation.assignee_name or "",
        labels=conversation.labels,
        active=display_time(conversation.last_activity_at),
    )


def contact_view(project_id: UUID, contact: ContactRow) -> ContactView:
    """Return a contact as a row of a list."""
    return ContactView(
        name=contact.name or "Without a name",
        url=contact_url(project_id, contact.account_id, contact.contact_id),
        email=contact.email or "",
        phone=contact.phone_number or "",
        identifier=contact.identifier or "",
        updated=display_time(contact.updated_at),
    )


def evidence_card(hit: Hit) -> EvidenceCard:
    """Return a hit as a card."""
    author = hit.sender_name or (hit.contact["name"] if hit.sender_type == "contact" else None)
    role = ROLES.get(hit.sender_type, hit.sender_type.title())
    return EvidenceCard(
        message=hit.message_global_id,
        author=author or role,
        role=role if author else "",
        sender=hit.sender_type,
        snippet=split_snippet(hit.snippet or hit.text),
        written=display_time(hit.created_at),
        source_url=hit.source_url or "",
        thread_url=thread_url(hit.conversation_global_id, hit.message_global_id),
        compose_url=compose_url(hit.id),
        by_meaning=str(hit.ranks.get("vector") or ""),
        by_words=str(hit.ranks.get("text") or ""),
    )


def thread_url(conversation_id: str, message_id: str = "") -> str:
    """Return the address of a conversation, at a message."""
    return f"/conversations/{quote(conversation_id)}/thread" + (f"?hit={quote(message_id)}" if message_id else "")


def contact_url(project_id: UUID, account_id: int, contact_id: int | None) -> str:
    """Return the address of a contact's page, or an empty string when the contact is unknown."""
    contact = ids.contact(project_id, account_id, contact_id)
    return f"/contacts/{quote(contact)}" if contact else ""


def chatwoot_url(settings: Settings, account_id: int, conversation_id: int) -> str:
    """Return the address of a conversation in Chatwoot, or an empty string when no Chatwoot is configured."""
    base = (settings.chatwoot_links or "").rstrip("/")
    return f"{base}/app/accounts/{account_id}/conversations/{conversation_id}" if base else ""


def compose_url(evidence: str) -> str:
    """Return the address of the form that writes a message with this evidence."""
    return f"/outbound?compose=1&evidence={quote(evidence, safe='')}"


def thread_message(message: ConversationMessage, cited: bool) -> ThreadMessage:
    """Return a message of a conversation."""
    role = ROLES.get(message.sender_type, message.sender_type.title())
    return ThreadMessage(
        author=message.sender_name or role,
        role=role if message.sender_name else "",
        sender="note" if message.private else "system" if message.message_type == "activity" else message.sender_type,
        text=(message.content or "").strip(),
        note=KINDS.get(message.kind, ""),
        failed=None if message.delivery_error is None else message.delivery_error or "the channel gave no reason",
        attachments=len(message.attachments),
        written=display_time(message.created_at),
        cited=cited,
    )


def project_data(overview: ProjectContents, available: AvailableSources | None = None) -> dict[str, Any]:
    """Return the sources and counts of a project. Names come from Chatwoot, or else from the imported inboxes."""
    sources = available or AvailableSources()
    names = {(i.account_id, i.inbox_id): i.name for i in overview.inboxes} | sources.inboxes
    return {
        "counts": overview.entities,
        "chunks": [
            ("ready", overview.chunks.ready, "good"),
            ("processing", overview.chunks.processing, "info"),
            ("pending", overview.chunks.pending, "warn"),
            ("failed", overview.chunks.failed, "bad"),
        ],
        "failed": overview.chunks.failed,
        "pending": overview.chunks.pending,
        "sources": [
            {
                "id": str(source.id),
                "external_id": source.external_id,
                "name": _source_name(source, names, sources),
                "whole": source.inbox_id is None,
                "inboxes": [n for (account, _), n in names.items() if account == source.account_id],
                "bound": display_time(source.created_at),
            }
            for source in overview.sources
        ],
        "synced": display_time(overview.synced_at) if overview.synced_at else None,
    }


def _source_name(source: Source, names: dict[tuple[int, int], str], available: AvailableSources) -> str:
    if source.inbox_id is None:
        return available.accounts.get(source.account_id) or f"Account {source.account_id}"
    return names.get((source.account_id, source.inbox_id)) or f"Inbox {source.inbox_id}"


def split_snippet(snippet: str) -> list[SnippetPart]:
    """Split a snippet at `[[` and `]]`; the text between them is a match."""
    parts: list[SnippetPart] = []
    for number, piece in enumerate(snippet.split("[[")):
        marked, close, rest = piece.partition("]]")
        if number and close:
            parts += [SnippetPart(marked, True), SnippetPart(rest, False)]
        else:
            parts.append(SnippetPart(("[[" if number else "") + piece, False))
    return [part for part in parts if part.text]


def display_time(time: datetime) -> DisplayTime:
    """Return a time in UTC."""
    time = time.astimezone(UTC)
    return DisplayTime(time.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{time.day} {time:%b %Y, %H:%M} UTC")


def format_number(count: int) -> str:
    """Return a count with commas between thousands: `1,200`."""
    return humanize.intcomma(count)


def format_count(count: int, singular: str, plural: str = "") -> str:
    """Return a count with its noun: `1 message`, `1,200 messages`."""
    return f"{format_number(count)} {singular if count == 1 else plural or singular + 's'}"


def format_duration(seconds: float) -> str:
    """Return a duration in at most two units: `1 minute and 5 seconds`, `0.4 seconds`."""
    smallest = "seconds" if seconds < 3600 else "minutes" if seconds < 86_400 else "hours"
    style = "%0.1f" if seconds < 10 and seconds != int(seconds) else "%d"
    return humanize.precisedelta(timedelta(seconds=seconds), minimum_unit=smallest, format=style)


def format_name(name: str) -> str:
    """Return the name of a field as words."""
    return name.replace("_", " ")


def format_value(value: Any) -> str:
    """Return the value of a field as one line. Numbers stay as they are, because they may be ids."""
    if isinstance(value, dict):
        return ", ".join(f"{format_name(name)} {format_value(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        has_objects = any(isinstance(item, dict) for item in value)
        return f"{len(value)} listed" if has_objects else ", ".join(map(format_value, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
