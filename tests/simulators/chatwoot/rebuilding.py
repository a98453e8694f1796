"""The installation behind the recorded responses, rebuilt from them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from proofdesk_simulators.chatwoot import ChatwootSimulator
from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.records import (
    Account,
    AgentBot,
    Attachment,
    Contact,
    Conversation,
    Inbox,
    Label,
    Message,
    Team,
    User,
)

MAIL_SECRETS = ("imap_", "smtp_", "reauthorization_required", "provider_config")
Json = Any


class Rebuilding:
    """Converts recorded views back into the records that they were rendered from."""

    def __init__(self, sample: Callable[[str], Json]) -> None:
        self._sample = sample
        self._installation = Installation()
        self._installation.clock.freeze(_seconds("2026-06-10T10:00:00.000Z"))

    def run(self) -> ChatwootSimulator:
        account = self._account()
        for view in self._sample("contacts_page")["payload"]:
            self._contact(account, view)
        for view in sorted(self._sample("conversations_page")["data"]["payload"], key=lambda view: view["id"]):
            self._conversation(account, view)
        for name in ("messages_page", "messages_page_email", "messages_page_whatsapp", "messages_page_api_bot"):
            for view in self._sample(name)["payload"]:
                self._message(account, view)
        return ChatwootSimulator(self._installation)

    def _account(self) -> Account:
        view, installation = self._sample("account"), self._installation
        account = installation.add_account(7, view["name"], view["locale"], _seconds(view["created_at"]))
        account.support_email, account.features = view["support_email"], view["features"]
        for agent in self._sample("agents"):
            self._user(agent)
        for inbox in self._sample("inboxes")["payload"]:
            installation.add_inbox(account, _inbox(inbox))
        for label in self._sample("labels")["payload"]:
            installation.add_label(account, Label(**label))
        for team in self._sample("teams"):
            installation.add_team(
                account, Team(team["id"], 7, team["name"], team["description"], team["allow_auto_assign"])
            )
        account.settings_changed_at = {name: float(key) for name, key in view["cache_keys"].items()}
        return account

    def _user(self, view: Json) -> None:
        profile = self._sample("profile")
        token = profile["access_token"] if view["id"] == profile["id"] else f"token-{view['id']}"
        user = User(view["id"], view["name"], view["email"], token, {7: view["role"]})
        if view["available_name"] != view["name"]:
            user.display_name = view["available_name"]
        user.availability, user.auto_offline = view["availability_status"], view["auto_offline"]
        user.provider, user.avatar_url = view["provider"], view["thumbnail"]
        if user.id == profile["id"]:
            user.inviter_id = profile["inviter_id"]
            user.active_at = _seconds(profile["accounts"][0]["active_at"])
        self._installation.add_user(user)

    def _contact(self, account: Account, view: Json) -> None:
        made = float(view["created_at"])
        contact = Contact(view["id"], 7, view["name"], made, made, view["email"], view["phone_number"])
        contact.identifier, contact.blocked, contact.thumbnail = view["identifier"], view["blocked"], view["thumbnail"]
        contact.availability, contact.last_activity_at = view["availability_status"], view.get("last_activity_at", 0)
        contact.additional_attributes = view["additional_attributes"]
        contact.custom_attributes = view["custom_attributes"]
        self._installation.add_contact(account, contact)
        for address in view["contact_inboxes"]:
            inbox = account.inboxes[address["inbox"]["id"]]
            self._installation.add_contact_inbox(contact, inbox, address["source_id"], made)

    def _conversation(self, account: Account, view: Json) -> None:
        contact, inbox = account.contacts[view["meta"]["sender"]["id"]], account.inboxes[view["inbox_id"]]
        address = next(row for row in contact.inboxes if row.inbox is inbox)
        address.hmac_verified = view["meta"]["hmac_verified"]
        row = Conversation(
            view["id"], account, inbox, contact, address, view["uuid"],
            view["created_at"], view["updated_at"], view["last_activity_at"], view["status"],
            view["waiting_since"], view["first_reply_created_at"],
        )  # fmt: skip
        row.agent_last_seen_at = row.assignee_last_seen_at = view["agent_last_seen_at"]
        row.contact_last_seen_at = view["contact_last_seen_at"]
        row.snoozed_until = _seconds(view["snoozed_until"]) if view["snoozed_until"] else None
        row.priority, row.labels, row.can_reply = view["priority"], view["labels"], view["can_reply"]
        row.additional_attributes = view["additional_attributes"]
        row.custom_attributes = view["custom_attributes"]
        row.team = account.teams.get(view["meta"].get("team", {}).get("id"))
        row.assignee = self._assignee(view["meta"])
        self._installation.add_conversation(row)

    def _assignee(self, meta: Json) -> User | AgentBot | None:
        view = meta.get("assignee")
        if view is None or meta["assignee_type"] == "User":
            return self._installation.users[view["id"]] if view else None
        bot = AgentBot(view["id"], view["name"], "token-bot", 7, view["description"])
        bot.outgoing_url, bot.bot_type = view["outgoing_url"], view["bot_type"]
        return self._installation.add_bot(bot)

    def _message(self, account: Account, view: Json) -> None:
        row = account.conversations[view["conversation_id"]]
        made = float(view["created_at"])
        message = Message(view["id"], row, view["content"], view["message_type"], made, made)
        message.sender = self._sender(row, view.get("sender"))
        message.private, message.status = view["private"], view["status"]
        message.content_type, message.source_id = view["content_type"], view["source_id"]
        message.content_attributes = view["content_attributes"]
        message.attachments = [_attachment(file, made) for file in view.get("attachments", [])] or None
        newest = self._newest(row.id, message.id)
        message.updated_at = _seconds(newest["updated_at"]) if newest else made
        self._installation.add_message(message)

    def _newest(self, conversation_id: int, message_id: int) -> Json:
        for view in self._sample("conversations_page")["data"]["payload"]:
            shown = [*view["messages"], *([view["last_non_activity_message"]] if view["messages"] else [])]
            for message in shown:
                if view["id"] == conversation_id and message["id"] == message_id:
                    return message
        return None

    def _sender(self, row: Conversation, view: Json) -> User | AgentBot | Contact | None:
        if view is None or view["type"] == "contact":
            return row.contact if view else None
        known: dict[int, Any] = self._installation.users if view["type"] == "user" else self._installation.bots
        return known[view["id"]]


def _inbox(view: Json) -> Inbox:
    common = [
        "id",
        "avatar_url",
        "channel_id",
        "name",
        "channel_type",
        "greeting_enabled",
        "greeting_message",
        "working_hours_enabled",
        "enable_email_collect",
        "csat_survey_enabled",
        "csat_config",
        "enable_auto_assignment",
        "auto_assignment_config",
        "out_of_office_message",
        "working_hours",
        "timezone",
        "callback_webhook_url",
        "allow_messages_after_resolved",
        "lock_to_single_conversation",
        "sender_name_type",
        "business_name",
        "provider",
        "phone_number",
        "messaging_service_sid",
        "webhook_url",
        "secret",
    ]
    secret = {key for key in view if key == "hmac_token" or key.startswith(MAIL_SECRETS)}
    inbox = Inbox(view["id"], 7, view["name"], view["channel_type"], view["channel_id"], 0.0, 0.0)
    for name in ("provider", "phone_number", "callback_webhook_url", "greeting_message", "timezone"):
        setattr(inbox, name, view[name])
    inbox.csat_survey_enabled = view["csat_survey_enabled"]
    inbox.lock_to_single_conversation = view["lock_to_single_conversation"]
    inbox.webhook_url, inbox.secret = view.get("webhook_url"), view.get("secret")
    inbox.channel = {key: value for key, value in view.items() if key not in common and key not in secret}
    inbox.secrets = {key: view[key] for key in secret}
    return inbox


def _attachment(view: Json, at: float) -> Attachment:
    if view["file_type"] == "location":
        known = ("coordinates_lat", "coordinates_long", "fallback_title", "data_url")
        return Attachment(view["id"], "location", at, place={key: view[key] for key in known})
    name = view["data_url"].partition("?")[0].rpartition("/")[2]
    file = Attachment(view["id"], view["file_type"], at, name, view["content_type"], view["file_size"])
    file.width, file.height = view["width"], view["height"]
    return file


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
