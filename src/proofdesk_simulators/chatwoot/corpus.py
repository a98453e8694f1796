"""Loading conversations from JSON lines, one conversation per line, plain or gzipped.

A line has `conversation_id`, `contact` {name, email, phone}, `inbox`, `status`, `labels`,
`started_at` and `messages` [{sender: contact|agent|system, text, at}].
"""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from proofdesk_simulators.chatwoot import foundation
from proofdesk_simulators.chatwoot.installation import Installation, conversation_uuid
from proofdesk_simulators.chatwoot.messages import apply_effects
from proofdesk_simulators.chatwoot.records import (
    ACTIVITY,
    INCOMING,
    OUTGOING,
    Account,
    Contact,
    Conversation,
    Inbox,
    Label,
    Message,
    User,
)

KINDS = {"contact": INCOMING, "agent": OUTGOING, "system": ACTIVITY}
FIRST_MESSAGE_ID = 1001
Line = dict[str, Any]


def load(installation: Installation, path: Path) -> Account:
    """Fill account 1. Message ids are in order of time over all conversations; every tenth display id is skipped.

    `custom_attributes.corpus_id` of a conversation is its id in the file.
    """
    account = foundation.create_foundation(installation, "Support corpus", "Corpus Admin", "support@example.com")
    agent = foundation.add_agent(installation, account, 2, "Corpus Agent", "agent@example.com")
    loader = _Loader(installation, account, agent)
    for line in _lines(path):
        loader.add(line)
    loader.number_messages()
    return account


def _lines(path: Path) -> Iterator[Line]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


class _Loader:
    def __init__(self, installation: Installation, account: Account, agent: User) -> None:
        self._installation, self._account, self._agent = installation, account, agent
        self._contacts: dict[tuple[str, str | None], Contact] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._labels: set[str] = set()
        self._rows: list[tuple[float, Conversation, Line]] = []

    def add(self, line: Line) -> None:
        started = _seconds(line["started_at"])
        conversation = self._conversation(line, started)
        for title in set(line["labels"]) - self._labels:
            self._labels.add(title)
            self._installation.add_label(self._account, Label(len(self._labels), title))
        for message in line["messages"]:
            self._rows.append((_seconds(message["at"]), conversation, message))
        conversation.status = line["status"]

    def number_messages(self) -> None:
        """Assign message ids in order of time, then set the final timestamps."""
        self._installation.message_ids.skip_to(FIRST_MESSAGE_ID)
        self._rows.sort(key=lambda row: row[0])
        for at, conversation, line in self._rows:
            self._add_message(at, conversation, line)
        for conversation in self._account.conversations.values():
            conversation.updated_at = conversation.last_activity_at + 0.25
            if conversation.status == "resolved":
                conversation.waiting_since = 0.0

    def _add_message(self, at: float, conversation: Conversation, line: Line) -> None:
        kind = KINDS[line["sender"]]
        sender = {INCOMING: conversation.contact, OUTGOING: self._agent}.get(kind)
        number = self._installation.message_ids.take()
        message = Message(number, conversation, line["text"], kind, at, at, sender)
        status = conversation.status
        self._installation.add_message(message)
        apply_effects(message)
        conversation.status = status
        if kind == OUTGOING:
            conversation.agent_last_seen_at = conversation.assignee_last_seen_at = at

    def _conversation(self, line: Line, at: float) -> Conversation:
        account, installation = self._account, self._installation
        contact, inbox = self._contact(line["contact"], at), self._inbox(line["inbox"])
        number = account.last_display_id + (2 if account.last_display_id % 10 == 8 else 1)
        address = next((a for a in contact.inboxes if a.inbox is inbox), None)
        if address is None:
            source = conversation_uuid(contact.id, inbox.id)
            address = installation.add_contact_inbox(contact, inbox, source, at)
        uuid = conversation_uuid(account.id, number)
        conversation = Conversation(number, account, inbox, contact, address, uuid, at, at, at, waiting_since=at)
        conversation.labels = list(line["labels"])
        conversation.custom_attributes = {"corpus_id": line["conversation_id"]}
        conversation.assignee = self._agent if number % 3 else None
        return installation.add_conversation(conversation)

    def _contact(self, values: Line, at: float) -> Contact:
        key = (values["name"], values["email"])
        if key not in self._contacts:
            contact = Contact(self._installation.contact_ids.take(), self._account.id, values["name"], at, at)
            contact.email, contact.phone_number = values["email"], values["phone"]
            self._contacts[key] = self._installation.add_contact(self._account, contact)
        return self._contacts[key]

    def _inbox(self, name: str) -> Inbox:
        if name not in self._inboxes:
            inbox = foundation.add_inbox(self._installation, self._account, name, "Channel::WebWidget")
            inbox.members.add(self._agent.id)
            self._inboxes[name] = inbox
        return self._inboxes[name]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
