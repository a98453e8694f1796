"""The records of a Chatwoot database. Times are Unix seconds (float, UTC); 0.0 means "never"."""

from collections.abc import Callable
from dataclasses import dataclass, field

Attributes = dict[str, object]

INCOMING, OUTGOING, ACTIVITY, TEMPLATE = 0, 1, 2, 3
MESSAGE_TYPE_WORDS = {INCOMING: "incoming", OUTGOING: "outgoing", ACTIVITY: "activity", TEMPLATE: "template"}
STATUSES = ("open", "resolved", "pending", "snoozed")
PRIORITIES = ("low", "medium", "high", "urgent")


@dataclass(slots=True, eq=False)
class User:
    """A user with a token. `roles` holds their role, administrator or agent, by account."""

    id: int
    name: str
    email: str
    token: str
    roles: dict[int, str]
    display_name: str | None = None
    availability: str = "offline"
    auto_offline: bool = True
    confirmed: bool = True
    provider: str = "email"
    avatar_url: str = ""
    inviter_id: int | None = None
    active_at: float = 0.0

    @property
    def available_name(self) -> str:
        return self.display_name or self.name


@dataclass(slots=True, eq=False)
class AgentBot:
    """A bot of one account. Its ids overlap with those of users."""

    id: int
    name: str
    token: str
    account_id: int
    description: str = ""
    avatar_url: str = ""
    outgoing_url: str = ""
    bot_type: str = "webhook"


@dataclass(slots=True, eq=False)
class PlatformApp:
    """A token of the platform API: valid, but rejected by every simulated route."""

    id: int
    name: str
    token: str


@dataclass(slots=True, eq=False)
class Team:
    """A team. `members` are user ids."""

    id: int
    account_id: int
    name: str
    description: str | None = None
    allow_auto_assign: bool = True
    members: set[int] = field(default_factory=set[int])


@dataclass(slots=True, eq=False)
class Label:
    """A label. Conversations refer to it by title."""

    id: int
    title: str
    description: str | None = None
    color: str = "#1f93ff"
    show_on_sidebar: bool = True


@dataclass(slots=True, eq=False)
class Inbox:
    """An inbox. `channel` has the keys of its channel type; `secrets` are shown to administrators only."""

    id: int
    account_id: int
    name: str
    channel_type: str
    channel_id: int
    created_at: float
    updated_at: float
    provider: str | None = None
    phone_number: str | None = None
    callback_webhook_url: str | None = None
    webhook_url: str | None = None
    secret: str | None = None
    avatar_url: str = ""
    timezone: str = "UTC"
    greeting_message: str | None = None
    csat_survey_enabled: bool = False
    lock_to_single_conversation: bool = False
    bot: AgentBot | None = None
    members: set[int] = field(default_factory=set[int])
    channel: Attributes = field(default_factory=dict[str, object])
    secrets: Attributes = field(default_factory=dict[str, object])


@dataclass(slots=True, eq=False)
class ContactInbox:
    """A contact's entry in one inbox."""

    id: int
    contact: "Contact"
    inbox: Inbox
    source_id: str
    created_at: float
    hmac_verified: bool = False


@dataclass(slots=True, eq=False)
class Contact:
    """A customer. Anonymous visitors have only a name."""

    id: int
    account_id: int
    name: str
    created_at: float
    updated_at: float
    email: str | None = None
    phone_number: str | None = None
    identifier: str | None = None
    blocked: bool = False
    thumbnail: str = ""
    availability: str = "offline"
    last_activity_at: float = 0.0
    additional_attributes: Attributes = field(default_factory=dict[str, object])
    custom_attributes: Attributes = field(default_factory=dict[str, object])
    inboxes: list[ContactInbox] = field(default_factory=list[ContactInbox])
    conversations: list["Conversation"] = field(default_factory=list["Conversation"])

    @property
    def resolved(self) -> bool:
        """Return whether the contact is listed: only with an e-mail, a phone or an identifier."""
        return bool(self.email or self.phone_number or self.identifier)


Sender = User | AgentBot | Contact


@dataclass(slots=True, eq=False)
class Attachment:
    """An attachment. `place` has the keys of a location; a stored file has a name, a type and a size."""

    id: int
    file_type: str
    created_at: float
    filename: str = ""
    content_type: str = "application/octet-stream"
    file_size: int = 0
    width: int | None = None
    height: int | None = None
    transcribed_text: str = ""
    place: Attributes | None = None
    url: str | None = None
    data: bytes | None = None


@dataclass(slots=True, eq=False)
class Message:
    """One message. `conversation` and `sender` are the records themselves."""

    id: int
    conversation: "Conversation"
    content: str | None
    message_type: int
    created_at: float
    updated_at: float
    sender: Sender | None = None
    private: bool = False
    status: str = "sent"
    content_type: str = "text"
    source_id: str | None = None
    content_attributes: Attributes | None = None
    additional_attributes: Attributes | None = None
    attachments: list[Attachment] | None = None

    @property
    def deleted(self) -> bool:
        return bool((self.content_attributes or {}).get("deleted"))


@dataclass(slots=True, eq=False)
class Conversation:
    """A conversation. `id` is the display id. `messages` is ordered by id; `in_order`: also by time."""

    id: int
    account: "Account"
    inbox: Inbox
    contact: Contact
    contact_inbox: ContactInbox
    uuid: str
    created_at: float
    updated_at: float
    last_activity_at: float
    status: str = "open"
    waiting_since: float = 0.0
    first_reply_created_at: float = 0.0
    agent_last_seen_at: float = 0.0
    assignee_last_seen_at: float = 0.0
    contact_last_seen_at: float = 0.0
    snoozed_until: float | None = None
    priority: str | None = None
    assignee: User | AgentBot | None = None
    team: Team | None = None
    can_reply: bool = True
    labels: list[str] = field(default_factory=list[str])
    additional_attributes: Attributes = field(default_factory=dict[str, object])
    custom_attributes: Attributes = field(default_factory=dict[str, object])
    messages: list[Message] = field(default_factory=list[Message])
    in_order: bool = True

    def newest(self, counts: Callable[[Message], bool] = lambda _: True) -> Message | None:
        """Return the last matching message by time, as `default_scope { order(created_at: :asc) }` orders them."""
        found = (row for row in reversed(self.messages) if counts(row))
        return next(found, None) if self.in_order else max(found, key=lambda row: row.created_at, default=None)

    @property
    def human(self) -> User | None:
        return self.assignee if isinstance(self.assignee, User) else None


@dataclass(slots=True, eq=False)
class Webhook:
    """A subscription of an account. `secret` signs its deliveries."""

    id: int
    account_id: int
    url: str
    subscriptions: list[str]
    secret: str
    name: str | None = None
    inbox: Inbox | None = None


@dataclass(slots=True, eq=False)
class Account:
    """An account. `generation` increases with every change and invalidates cached lists."""

    id: int
    name: str
    created_at: float
    locale: str = "en"
    status: str = "active"
    support_email: str = ""
    domain: str | None = None
    features: Attributes = field(default_factory=dict[str, object])
    inboxes: dict[int, Inbox] = field(default_factory=dict[int, Inbox])
    contacts: dict[int, Contact] = field(default_factory=dict[int, Contact])
    conversations: dict[int, Conversation] = field(default_factory=dict[int, Conversation])
    labels: dict[int, Label] = field(default_factory=dict[int, Label])
    teams: dict[int, Team] = field(default_factory=dict[int, Team])
    webhooks: dict[int, Webhook] = field(default_factory=dict[int, Webhook])
    last_display_id: int = 0
    generation: int = 0
    contact_orders: dict[str, tuple[int, list[Contact]]] = field(default_factory=dict[str, tuple[int, list[Contact]]])
    settings_changed_at: dict[str, float] = field(default_factory=dict[str, float])
