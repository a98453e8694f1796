"""The controls of a simulated Chatwoot. `routes/control.py` offers them over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any

import httpx2

from proofdesk_simulators.chatwoot import contacts, conversations, foundation, mail, messages, truth
from proofdesk_simulators.chatwoot.clock import Clock
from proofdesk_simulators.chatwoot.defects import DefectControls
from proofdesk_simulators.chatwoot.deliveries import WebhookQueue
from proofdesk_simulators.chatwoot.faults import Faults
from proofdesk_simulators.chatwoot.installation import ADMIN_TOKEN, Installation
from proofdesk_simulators.chatwoot.journal import Journal
from proofdesk_simulators.chatwoot.listing import Listings
from proofdesk_simulators.chatwoot.messages import Draft
from proofdesk_simulators.chatwoot.records import (
    INCOMING,
    MESSAGE_TYPE_WORDS,
    OUTGOING,
    Account,
    Attachment,
    Attributes,
    Contact,
    Conversation,
    Message,
    Sender,
    User,
)
from proofdesk_simulators.chatwoot.shifts import Shift, Shifts
from proofdesk_simulators.chatwoot.switches import ChatwootSwitches
from proofdesk_simulators.chatwoot.throttles import Throttles


class ChatwootSimulator(DefectControls):
    """One installation, and controls to change it and to make it fail.

    Every method may be called while the app serves from another thread. Conversations are identified by display id
    within `account_id` (default 1), messages by id. Unknown ids raise KeyError.
    """

    def __init__(self, installation: Installation, webhook_transport: httpx2.BaseTransport | None = None) -> None:
        self.installation = installation
        self.deliveries = WebhookQueue(installation, webhook_transport)
        self.faults = Faults()
        self.throttles = Throttles()
        self.journal = Journal()
        self.shifts = Shifts()
        self.listings = Listings()
        self.admin_token = ADMIN_TOKEN

    @property
    def clock(self) -> Clock:
        return self.installation.clock

    @property
    def switches(self) -> ChatwootSwitches:
        return self.installation.switches

    def close(self) -> None:
        """Stop the webhook thread."""
        self.deliveries.close()

    def account(self, account_id: int = 1) -> Account:
        return self.installation.accounts[account_id]

    def conversation(self, conversation_id: int, account_id: int = 1) -> Conversation:
        return self.account(account_id).conversations[conversation_id]

    def message(self, message_id: int) -> Message:
        return self.installation.messages[message_id]

    def contact(self, contact_id: int, account_id: int = 1) -> Contact:
        return self.account(account_id).contacts[contact_id]

    def add_account(self, account_id: int, name: str, locale: str = "en") -> Account:
        """Add an account with one API inbox. The administrator is a member."""
        with self.installation.lock:
            account = self.installation.add_account(account_id, name, locale)
            foundation.add_inbox(self.installation, account, "API inbox", "Channel::Api")
            self.installation.users[1].roles[account_id] = "administrator"
            return account

    def append_message(
        self,
        conversation_id: int,
        content: str | None,
        *,
        account_id: int = 1,
        message_type: str = "incoming",
        private: bool = False,
        sender_id: int | None = None,
        at: float | None = None,
        held: bool = False,
        content_type: str = "text",
        content_attributes: Attributes | None = None,
        source_id: str | None = None,
        attachments: list[Attachment] | None = None,
    ) -> Message:
        """Append a message of any type to a conversation of any inbox, at any time.

        `message_type` is incoming, outgoing, activity or template. `sender_id` is a user's id; the default for outgoing
        messages is the first user. A `held` message takes its id now and becomes visible only with `release_message`,
        after messages with greater ids.
        """
        number = next(key for key, word in MESSAGE_TYPE_WORDS.items() if word == message_type)
        draft = Draft(content, number, private, content_type, content_attributes, None, source_id, attachments)
        with self.installation.lock:
            conversation = self.conversation(conversation_id, account_id)
            sender = self._sender(conversation, number, sender_id)
            return messages.create(self.installation, conversation, draft, sender, at=at, held=held)

    def append_mail(
        self,
        conversation_id: int,
        content: str,
        *,
        subject: str = "",
        headers: dict[str, str] | None = None,
        at: float | None = None,
        account_id: int = 1,
    ) -> Message:
        """Append a mail of the contact. Its headers decide whether Chatwoot treats it as automatic."""
        with self.installation.lock:
            message = self.append_message(conversation_id, content, account_id=account_id, at=at)
            mail.receive_mail(message, subject, headers or {})
            return message

    def append_in_one_second(
        self, conversation_id: int, contents: Sequence[str], *, at: float | None = None, account_id: int = 1
    ) -> list[Message]:
        """Append incoming messages of the same second. `switches.tie_order` decides their order on a page."""
        second = float(int(at if at is not None else self.installation.now()))
        return [self.append_message(conversation_id, c, account_id=account_id, at=second) for c in contents]

    def import_messages(self, conversation_id: int, rows: Sequence[tuple[float, str]], account_id: int = 1) -> None:
        """Import history: new ids, given times (seconds), no changed timestamps, no webhooks."""
        with self.installation.lock:
            messages.import_rows(self.installation, self.conversation(conversation_id, account_id), rows)

    def release_message(self, message_id: int) -> Message:
        with self.installation.lock:
            return messages.release(self.installation, message_id)

    def delete_message(self, message_id: int) -> Message:
        """Soft-delete a message, as the API does: the row stays."""
        with self.installation.lock:
            return messages.delete(self.installation, self.message(message_id))

    def remove_message(self, message_id: int) -> None:
        """Remove the row of a message without a trace, as when its contact is deleted."""
        with self.installation.lock:
            self.installation.remove_message(self.message(message_id))

    def set_message_status(self, message_id: int, status: str, external_error: str | None = None) -> Message:
        with self.installation.lock:
            return messages.set_status(self.installation, self.message(message_id), status, external_error)

    def create_conversation(
        self,
        inbox_id: int,
        contact_id: int | None = None,
        *,
        content: str | None = None,
        contact_name: str = "New visitor",
        account_id: int = 1,
        gap: int = 0,
        at: float | None = None,
        status: str | None = None,
    ) -> Conversation:
        """Create a conversation, of a new contact without `contact_id`, and with a first message if `content` is set.

        `gap` display ids are skipped before it.
        """
        with self.installation.lock:
            account = self.account(account_id)
            contact = (
                account.contacts[contact_id]
                if contact_id is not None
                else contacts.create(self.installation, account, {"name": contact_name})
            )
            address = conversations.get_contact_inbox(self.installation, contact, account.inboxes[inbox_id])
            account.last_display_id += gap
            created = conversations.create(self.installation, account, address, at=at, status=status)
            if content is not None:
                self.append_message(created.id, content, account_id=account_id, at=at)
            return created

    def delete_conversation(self, conversation_id: int, account_id: int = 1) -> None:
        with self.installation.lock:
            conversations.delete(self.installation, self.conversation(conversation_id, account_id))

    def delete_inbox(self, inbox_id: int, account_id: int = 1, *, at_most: int | None = None) -> None:
        """Run the deletion job of an inbox, or only for its first `at_most` conversations, like an unfinished job."""
        with self.installation.lock:
            conversations.delete_inbox(self.installation, self.account(account_id), inbox_id, at_most)

    def skip_ids(self, number: int, account_id: int = 1) -> None:
        """Continue the ids of messages, contacts, inboxes and conversations above this number."""
        with self.installation.lock:
            self.installation.skip_ids(self.account(account_id), number)

    def set_status(
        self,
        conversation_id: int,
        status: str,
        *,
        by: int | None = None,
        snoozed_until: float | None = None,
        account_id: int = 1,
    ) -> Conversation:
        with self.installation.lock:
            row = self.conversation(conversation_id, account_id)
            return conversations.set_status(self.installation, row, status, self._user(by), snoozed_until)

    def assign(
        self, conversation_id: int, user_id: int | None, *, by: int | None = None, account_id: int = 1
    ) -> Conversation:
        with self.installation.lock:
            row = self.conversation(conversation_id, account_id)
            return conversations.assign(self.installation, row, self._user(user_id), self._user(by))

    def set_labels(
        self, conversation_id: int, titles: list[str], *, by: int | None = None, account_id: int = 1
    ) -> Conversation:
        """Replace all labels. Only a change by a user writes an activity line."""
        with self.installation.lock:
            row = self.conversation(conversation_id, account_id)
            return conversations.set_labels(self.installation, row, titles, self._user(by))

    def set_priority(
        self, conversation_id: int, priority: str | None, *, by: int | None = None, account_id: int = 1
    ) -> Conversation:
        with self.installation.lock:
            row = self.conversation(conversation_id, account_id)
            return conversations.set_priority(self.installation, row, priority, self._user(by))

    def update_contact(self, contact_id: int, values: Attributes, account_id: int = 1) -> Contact:
        with self.installation.lock:
            account = self.account(account_id)
            return contacts.update(self.installation, account, account.contacts[contact_id], values)

    def rename_contact(self, contact_id: int, name: str, account_id: int = 1) -> Contact:
        return self.update_contact(contact_id, {"name": name}, account_id)

    def merge_contacts(self, base_id: int, mergee_id: int, account_id: int = 1) -> Contact:
        with self.installation.lock:
            account = self.account(account_id)
            base, mergee = account.contacts[base_id], account.contacts[mergee_id]
            return contacts.merge(self.installation, account, base, mergee)

    def shift(
        self,
        action: Callable[[], object],
        *,
        every: int = 1,
        path: str = "*/conversations",
        times: int | None = None,
    ) -> Shift:
        """Run an action after each `every`-th GET of this path, to change pages while a client reads them."""
        return self.shifts.add(action, every=every, path=path, times=times)

    def truth(self, account_id: int = 1, *, rows: bool = True) -> dict[str, Any]:
        """Return the account's current data: see `truth.export`."""
        with self.installation.lock:
            return truth.export(self.installation, self.account(account_id), rows=rows)

    def reset_controls(self) -> None:
        """Remove faults, throttles, shifts, defects and the journal. The data stays."""
        self.faults.clear()
        self.throttles.clear()
        self.shifts.clear()
        self.journal.clear()
        self.clear_defects()

    def _user(self, user_id: int | None) -> User | None:
        return None if user_id is None else self.installation.users[user_id]

    def _sender(self, conversation: Conversation, message_type: int, user_id: int | None) -> Sender | None:
        if message_type == INCOMING:
            return conversation.contact
        if message_type == OUTGOING:
            return self._user(user_id) or next(iter(self.installation.users.values()))
        return None
