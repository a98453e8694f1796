"""Loading the sample studio: the files of `studio/`, described in `studio/README.md`."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from proofdesk_simulators.chatwoot import foundation, mail
from proofdesk_simulators.chatwoot.installation import Installation, conversation_uuid
from proofdesk_simulators.chatwoot.messages import DELETED_TEXTS, apply_effects
from proofdesk_simulators.chatwoot.records import (
    ACTIVITY,
    INCOMING,
    OUTGOING,
    TEMPLATE,
    Account,
    Attachment,
    Attributes,
    Contact,
    Conversation,
    Inbox,
    Label,
    Message,
    Team,
    User,
)

FIRST_MESSAGE_ID = 4101
CONTENT_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "svg": "image/svg+xml", "pdf": "application/pdf",
    "ogg": "audio/ogg", "zip": "application/zip", "ai": "application/postscript", "tif": "image/tiff",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "mp4": "video/mp4",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "txt": "text/plain",
}  # fmt: skip
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Row = list[Any]
Entry = dict[str, Any]


def load(installation: Installation) -> Account:
    """Fill account 1 with the studio."""
    folder = resources.files("proofdesk_simulators.chatwoot") / "studio"
    return _Loader(installation, json.loads(_read(folder / "studio.json"))).load(_conversation_files(folder))


def _conversation_files(folder: Traversable) -> list[Traversable]:
    files = (folder / "conversations").iterdir()
    return sorted((file for file in files if file.name.endswith(".json")), key=lambda file: file.name)


def _read(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")


@dataclass(slots=True)
class _Line:
    """One message of the files, with its resolved time."""

    at: float
    conversation: Conversation
    who: str
    text: str | None
    extras: Entry
    subject: str


@dataclass(slots=True)
class _Loader:
    installation: Installation
    studio: Entry
    users: dict[str, User] = field(default_factory=dict[str, User])
    contacts: dict[str, Contact] = field(default_factory=dict[str, Contact])
    inboxes: dict[str, Inbox] = field(default_factory=dict[str, Inbox])
    teams: dict[str, Team] = field(default_factory=dict[str, Team])
    languages: dict[int, str] = field(default_factory=dict[int, str])

    def load(self, files: list[Traversable]) -> Account:
        account = self._people()
        entries = [entry for file in files for entry in json.loads(_read(file))]
        entries.sort(key=lambda entry: entry["id"])
        lines = [line for entry in entries for line in self._conversation(account, entry)]
        self.installation.message_ids.skip_to(FIRST_MESSAGE_ID)
        for position, line in enumerate(sorted(lines, key=lambda line: (line.at, line.conversation.id))):
            self._message(position, line)
        for entry in entries:
            _settle(account.conversations[entry["id"]], entry)
        return account

    def _people(self) -> Account:
        studio, installation = self.studio, self.installation
        first, *others = studio["agents"]
        account = foundation.create_foundation(installation, studio["name"], first["name"], first["email"])
        self.users[first["key"]] = installation.users[1]
        for number, agent in enumerate(others, 2):
            user = foundation.add_agent(installation, account, number, agent["name"], agent["email"])
            self.users[agent["key"]] = user
        for agent in studio["agents"]:
            self.users[agent["key"]].availability = agent["availability"]
        for number, label in enumerate(studio["labels"], 1):
            installation.add_label(account, Label(number, **label))
        self._inboxes_and_teams(account)
        for number, contact in enumerate(studio["contacts"], 1):
            self._contact(account, number, contact)
        return account

    def _inboxes_and_teams(self, account: Account) -> None:
        for number, team in enumerate(self.studio["teams"], 1):
            members = {self.users[key].id for key in team["members"]}
            row = Team(number, account.id, team["name"], team["description"], members=members)
            self.teams[team["name"]] = self.installation.add_team(account, row)
        for entry in self.studio["inboxes"]:
            inbox = foundation.add_inbox(self.installation, account, entry["name"], entry["channel_type"])
            inbox.greeting_message = entry.get("greeting")
            inbox.csat_survey_enabled = entry.get("csat", False)
            inbox.channel |= entry.get("channel", {})
            inbox.members = {self.users[key].id for key in entry["members"]}
            self.inboxes[entry["key"]] = inbox

    def _contact(self, account: Account, number: int, entry: Entry) -> None:
        made = _seconds(entry["since"])
        contact = Contact(number, account.id, entry["name"], made, made)
        contact.email, contact.phone_number = entry.get("email"), entry.get("phone")
        contact.identifier, contact.blocked = entry.get("identifier"), entry.get("blocked", False)
        places = {name: entry[name] for name in ("city", "country", "company_name") if name in entry}
        contact.additional_attributes = dict(places)
        contact.custom_attributes = {"language": entry["language"]} | entry.get("custom", {})
        self.languages[number] = entry["language"]
        self.contacts[entry["key"]] = self.installation.add_contact(account, contact)

    def _conversation(self, account: Account, entry: Entry) -> list[_Line]:
        rows: list[Row] = entry["messages"]
        times = _times(rows)
        inbox, contact = self.inboxes[entry["inbox"]], self.contacts[entry["contact"]]
        address = next((a for a in contact.inboxes if a.inbox is inbox), None)
        if address is None:
            source = _source_id(contact, inbox)
            address = self.installation.add_contact_inbox(contact, inbox, source, times[0])
        at, number = times[0], entry["id"]
        uuid = conversation_uuid(account.id, number)
        conversation = Conversation(number, account, inbox, contact, address, uuid, at, at, at, waiting_since=at)
        conversation.labels = list(entry.get("labels", []))
        conversation.priority = entry.get("priority")
        conversation.assignee = self.users.get(entry.get("assignee", ""))
        conversation.team = self.teams.get(entry.get("team", ""))
        conversation.custom_attributes = dict(entry.get("custom", {}))
        subject = entry.get("subject", "")
        conversation.additional_attributes = _origin(conversation, subject, self.languages[contact.id])
        self.installation.add_conversation(conversation)
        return [
            _Line(at, conversation, row[1], row[2], row[3] if len(row) > 3 else {}, subject)
            for at, row in zip(times, rows, strict=True)
        ]

    def _message(self, position: int, line: _Line) -> None:
        kind, private, sender = self._role(line)
        number = self.installation.message_ids.take()
        if position % 7 == 3:  # ids that other accounts of a real server would have taken
            self.installation.message_ids.take()
        at = line.at + position * 137 % 1000 / 1000
        message = Message(number, line.conversation, line.text, kind, at, at, sender, private)
        message.attachments = [self._attachment(at, item) for item in line.extras.get("attachments", [])] or None
        message.status = line.extras.get("status", "sent")
        message.content_attributes = self._attributes(line)
        if line.who == "csat":
            message.content_type, message.content_attributes = "input_csat", {"display_type": "emoji"}
        if line.conversation.inbox.channel_type == "Channel::Email":
            mail.add_mail_attributes(message, line.subject, self.languages[line.conversation.contact.id])
        elif line.conversation.inbox.channel_type == "Channel::Telegram" and kind == INCOMING:
            message.source_id = str(20_000 + position)
        if line.extras.get("deleted"):
            message.content, message.content_type = DELETED_TEXTS["en"], "text"
            message.content_attributes = {"deleted": True}
        self.installation.add_message(message)
        apply_effects(message)
        if kind == OUTGOING:
            line.conversation.agent_last_seen_at = line.conversation.assignee_last_seen_at = at

    def _role(self, line: _Line) -> tuple[int, bool, User | Contact | None]:
        if line.who == "contact":
            return INCOMING, False, line.conversation.contact
        if line.who == "activity":
            return ACTIVITY, False, None
        if line.who in ("greeting", "csat"):
            return TEMPLATE, False, None
        author = line.who.removeprefix("note by ")
        return OUTGOING, author != line.who, self.users[author]

    def _attributes(self, line: _Line) -> Attributes | None:
        found: Attributes = {}
        if "error" in line.extras:
            found["external_error"] = line.extras["error"]
        if "reply_to" in line.extras:
            answered = line.conversation.messages[line.extras["reply_to"]]
            found |= {"in_reply_to": answered.id, "in_reply_to_external_id": answered.source_id}
        return found or None

    def _attachment(self, at: float, item: Row) -> Attachment:
        number = self.installation.attachment_ids.take()
        if item[0] == "location":
            place = {
                "coordinates_lat": item[2],
                "coordinates_long": item[3],
                "fallback_title": item[1],
                "data_url": None,
            }
            return Attachment(number, "location", at, place=place)
        kind, filename, size, *shape = item
        content_type = CONTENT_TYPES[filename.rpartition(".")[2]]
        width, height = shape or (None, None)
        return Attachment(number, kind, at, filename, content_type, size, width, height)


def _times(rows: list[Row]) -> list[float]:
    """Return the times. A time is a date and time in UTC, or `+4m` (s, m, h, d) after the message before."""
    times: list[float] = []
    for when, *_ in rows:
        if when.startswith("+"):
            times.append(times[-1] + timedelta(seconds=int(when[1:-1]) * UNITS[when[-1]]).total_seconds())
        else:
            times.append(_seconds(when))
    return times


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _source_id(contact: Contact, inbox: Inbox) -> str:
    if inbox.channel_type == "Channel::Email":
        return contact.email or ""
    if inbox.channel_type == "Channel::Telegram":
        return str(700_000_000 + contact.id)
    return conversation_uuid(contact.id, inbox.id)


def _origin(conversation: Conversation, subject: str, language: str) -> Attributes:
    at = datetime.fromtimestamp(conversation.created_at, UTC)
    kind = conversation.inbox.channel_type
    if kind == "Channel::Email":
        return mail.origin(subject, at)
    if kind == "Channel::Telegram":
        return {"chat_id": 700_000_000 + conversation.contact.id, "business_connection_id": None}
    return {
        "browser": {
            "device_name": "Unknown",
            "browser_name": ("Firefox", "Chrome", "Safari")[conversation.id % 3],
            "platform_name": ("Windows", "macOS")[conversation.id % 2],
            "browser_version": "141.0",
            "platform_version": "10.0",
        },
        "referer": "https://kestrel.example.com/contact",
        "initiated_at": {"timestamp": at.strftime("%a %b %d %Y %H:%M:%S GMT+0000 (UTC)")},
        "browser_language": language,
    }


def _settle(conversation: Conversation, entry: Entry) -> None:
    """Set the final state of a conversation, whatever its last message caused."""
    conversation.status = entry["status"]
    conversation.updated_at = round(conversation.last_activity_at + 0.4, 6)
    if conversation.status == "snoozed":
        conversation.snoozed_until = _seconds(entry["snoozed_until"])
    if conversation.status == "resolved":
        conversation.waiting_since = 0.0
    if entry.get("seen"):
        conversation.agent_last_seen_at = conversation.last_activity_at
    if conversation.inbox.channel_type == "Channel::WebWidget":
        conversation.contact_last_seen_at = conversation.last_activity_at
        for message in conversation.messages:
            if message.message_type != INCOMING and message.status == "sent":
                message.status = "read"
