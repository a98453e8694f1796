"""One Chatwoot installation: accounts, users and id sequences."""

import itertools
import threading
import uuid
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field

from proofdesk_simulators.chatwoot.clock import Clock
from proofdesk_simulators.chatwoot.records import (
    Account,
    AgentBot,
    Attachment,
    Attributes,
    Contact,
    ContactInbox,
    Conversation,
    Inbox,
    Label,
    Message,
    PlatformApp,
    Team,
    User,
    Webhook,
)
from proofdesk_simulators.chatwoot.switches import ChatwootSwitches

ADMIN_TOKEN = "simulator-admin-token"  # noqa: S105, published on purpose
UUIDS = uuid.UUID("5b0f4b8e-3f0b-4c55-9b0e-1d7c2a90c1aa")

Caller = User | AgentBot | PlatformApp
Subject = Message | Conversation | Contact


class Sequence:
    """A database sequence: `take` returns the next number, `skip_to` leaves a gap."""

    def __init__(self, start: int = 1) -> None:
        self.next = start

    def take(self) -> int:
        self.next += 1
        return self.next - 1

    def skip_to(self, number: int) -> None:
        self.next = max(self.next, number)


@dataclass(slots=True)
class Defect:
    """Wrong values that replace those of a view, and keys that are removed from it."""

    values: Attributes = field(default_factory=dict[str, object])
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class Event:
    """An event for webhooks. `changed` is a list of one-key objects."""

    name: str
    account: Account
    subject: Subject
    changed: list[Attributes] | None = None


class Installation:
    """The data of one server. Hold `lock` to read or change it from another thread."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.lock = threading.RLock()
        self.clock = clock or Clock()
        self.switches = ChatwootSwitches()
        self.accounts: dict[int, Account] = {}
        self.users: dict[int, User] = {}
        self.bots: dict[int, AgentBot] = {}
        self.tokens: dict[str, Caller] = {}
        self.messages: dict[int, Message] = {}
        self.held: dict[int, Message] = {}
        self.files: dict[int, Attachment] = {}
        self.defects: dict[tuple[str, int, int], Defect] = {}
        self.unrenderable: set[int] = set()
        self.orphans: set[tuple[int, int]] = set()
        self.listeners: list[Callable[[Event], None]] = []
        self.message_ids = Sequence()
        self.contact_ids = Sequence()
        self.contact_inbox_ids = Sequence()
        self.inbox_ids = Sequence()
        self.attachment_ids = Sequence()
        self.other_ids = Sequence()
        self.channel_ids = itertools.count(1)

    def now(self) -> float:
        return self.clock.now()

    def announce(self, name: str, account: Account, subject: Subject, *changed: Attributes) -> None:
        """Pass an event to the listeners."""
        for listener in self.listeners:
            listener(Event(name, account, subject, list(changed) or None))

    def add_account(self, account_id: int, name: str, locale: str = "en", created_at: float = 0.0) -> Account:
        account = Account(account_id, name, created_at or self.now(), locale)
        account.features = {"channel_email": True, "labels": True, "webhooks": True}
        account.settings_changed_at = dict.fromkeys(("label", "inbox", "team"), account.created_at)
        self.accounts[account_id] = account
        return account

    def add_user(self, user: User) -> User:
        self.users[user.id] = user
        self.tokens[user.token] = user
        return user

    def add_bot(self, bot: AgentBot) -> AgentBot:
        self.bots[bot.id] = bot
        self.tokens[bot.token] = bot
        return bot

    def add_platform_app(self, app: PlatformApp) -> PlatformApp:
        self.tokens[app.token] = app
        return app

    def add_inbox(self, account: Account, inbox: Inbox) -> Inbox:
        account.inboxes[inbox.id] = inbox
        self.inbox_ids.skip_to(inbox.id + 1)
        self.touch(account, "inbox")
        return inbox

    def add_team(self, account: Account, team: Team) -> Team:
        account.teams[team.id] = team
        self.touch(account, "team")
        return team

    def add_label(self, account: Account, label: Label) -> Label:
        account.labels[label.id] = label
        self.touch(account, "label")
        return label

    def add_webhook(self, account: Account, webhook: Webhook) -> Webhook:
        account.webhooks[webhook.id] = webhook
        return webhook

    def add_contact(self, account: Account, contact: Contact) -> Contact:
        account.contacts[contact.id] = contact
        self.contact_ids.skip_to(contact.id + 1)
        account.generation += 1
        return contact

    def add_contact_inbox(self, contact: Contact, inbox: Inbox, source_id: str, at: float) -> ContactInbox:
        address = ContactInbox(self.contact_inbox_ids.take(), contact, inbox, source_id, at)
        contact.inboxes.append(address)
        return address

    def add_conversation(self, conversation: Conversation) -> Conversation:
        account = conversation.account
        account.conversations[conversation.id] = conversation
        account.last_display_id = max(account.last_display_id, conversation.id)
        conversation.contact.conversations.append(conversation)
        account.generation += 1
        return conversation

    def add_message(self, message: Message) -> Message:
        """Make a message visible, in order of ids."""
        rows = message.conversation.messages
        if rows and (rows[-1].id > message.id or rows[-1].created_at > message.created_at):
            message.conversation.in_order = False
        if rows and rows[-1].id > message.id:
            insort(rows, message, key=lambda row: row.id)
        else:
            rows.append(message)
        self.messages[message.id] = message
        self.message_ids.skip_to(message.id + 1)
        for file in message.attachments or []:
            self.files[file.id] = file
            self.attachment_ids.skip_to(file.id + 1)
        message.conversation.account.generation += 1
        return message

    def remove_message(self, message: Message) -> None:
        message.conversation.messages.remove(message)
        del self.messages[message.id]
        message.conversation.account.generation += 1

    def remove_conversation(self, conversation: Conversation) -> None:
        for message in conversation.messages:
            del self.messages[message.id]
        conversation.contact.conversations.remove(conversation)
        del conversation.account.conversations[conversation.id]
        conversation.account.generation += 1

    def remove_inbox(self, account: Account, inbox: Inbox) -> None:
        del account.inboxes[inbox.id]
        for contact in account.contacts.values():
            contact.inboxes[:] = [address for address in contact.inboxes if address.inbox is not inbox]
        self.touch(account, "inbox")

    def skip_ids(self, account: Account, number: int) -> None:
        for sequence in (self.message_ids, self.contact_ids, self.inbox_ids):
            sequence.skip_to(number + 1)
        account.last_display_id = max(account.last_display_id, number)

    def touch(self, account: Account, settings: str) -> None:
        account.settings_changed_at[settings] = self.now()
        account.generation += 1


def conversation_uuid(account_id: int, display_id: int) -> str:
    """Return a UUID that depends on the arguments only, so that samples are comparable."""
    return str(uuid.uuid5(UUIDS, f"{account_id}/{display_id}"))


def members(installation: Installation, account: Account) -> list[User]:
    """Return the account's users in the order of the agent list: by lower-case name."""
    inside = (user for user in installation.users.values() if account.id in user.roles)
    return sorted(inside, key=lambda user: user.name.lower())
