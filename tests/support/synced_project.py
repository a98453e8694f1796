"""A project that reads a simulated Chatwoot: syncs, messages and policies, as the jobs do them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.database.pool import Database
from proofdesk.jobs import catalog, runs
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.outbound import approval, drafts, messages, policies
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions, DeliveryTotals
from proofdesk.outbound.delivery.last_look import LastLook
from proofdesk.outbound.delivery.outcomes import RetryBackoff
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.policy_queries import PolicyUpdate
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, contacts, create_app, foundation
from proofdesk_simulators.serving import running
from tests.support.jobs import start_run
from tests.support.outbound_desk import FakeChannel

API, MAIL, TELEGRAM, WHATSAPP, WIDGET = 1, 2, 3, 4, 5
_NUMBERS = count(1)


@dataclass
class SyncedProject:
    """What tests do with a synced project. E-mail goes to a channel that keeps it, other messages to simulators."""

    resources: Resources
    scope: Scope
    chatwoot: ChatwootSimulator
    conn: psycopg.Connection
    mail: FakeChannel

    async def sync(self, job: str = catalog.SYNC.name) -> dict[str, Any]:
        start = await start_run(self.resources.db, self.scope, job, "cli")
        finished = await runs.execute(
            self.resources.db, self.scope, start.run, catalog.bind_handler(self.resources, job)
        )
        assert finished.status == "ok", finished.error
        return finished.meta["result"]

    async def reconcile(self) -> dict[str, Any]:
        return await self.sync(catalog.RECONCILE.name)

    async def approve_new(self, recipient: str, channel: str = "email") -> OutboundMessage:
        payload = {"text": "Hello"} | ({"subject": "News"} if channel == "email" else {})
        request = DraftRequest(
            channel=channel, recipient_ref=recipient, payload=payload, idempotency_key=f"k{next(_NUMBERS)}"
        )
        message, _ = await drafts.create(self.resources.db, self.scope, request)
        return await approval.approve(self.resources.db, self.scope, message.id)

    async def process(self, last_look: LastLook | None = None) -> DeliveryTotals:
        options = DeliveryOptions(4, 60, RetryBackoff(3600, 3600), last_look=last_look)
        channels = self.resources.outbound | {"email": self.mail}
        return await delivery.process_due(self.resources.db, self.scope, channels, options)

    async def send_new(self, recipient: str, channel: str = "email") -> str:
        """Draft, approve and deliver a message; return its reason, or its status without one."""
        message = await self.approve_new(recipient, channel)
        await self.process()
        message = await self.read(message)
        has_reason = message.status in ("approved", "cancelled") and message.last_error
        return has_reason or message.status

    async def read(self, message: OutboundMessage) -> OutboundMessage:
        return await messages.get_message(self.resources.db, self.scope, message.id)

    async def policy(self, who: str, channel: str = "email", **change: Any) -> Policy:
        reason = change.pop("reason", None)
        return await policies.change_policy(
            self.resources.db, self.scope, who, channel, PolicyUpdate(**change), reason=reason
        )

    def contact(self, name: str, inbox: int = API, **values: Any) -> int:
        """Create a contact, with a conversation unless `inbox` is 0; return the id."""
        if not inbox:
            with self.chatwoot.installation.lock:
                account = self.chatwoot.account()
                return contacts.create(self.chatwoot.installation, account, {"name": name, **values}).id
        talk = self.chatwoot.create_conversation(inbox, content="Hello", contact_name=name, at=self.time_ago(3600))
        if values:
            self.chatwoot.update_contact(talk.contact.id, values)
        return talk.contact.id

    def conversation_of(self, contact: int) -> int:
        """Return the conversation of a contact."""
        return self.chatwoot.contact(contact).conversations[0].id

    def time_ago(self, seconds: float) -> float:
        return self.chatwoot.clock.now() - seconds

    def cwc(self, contact: int) -> str:
        return f"cwc:{self.scope.project_id}:1:{contact}"

    def cw(self, conversation: int) -> str:
        return f"cw:{self.scope.project_id}:1:{conversation}"

    def events(self, action: str) -> list[dict[str, Any]]:
        rows = self.conn.execute("SELECT payload FROM audit_events WHERE action = %s ORDER BY id", [action]).fetchall()
        return [row[0] for row in rows]


@pytest.fixture
def chatwoot() -> Iterator[ChatwootSimulator]:
    """A simulated Chatwoot with an inbox of each kind."""
    simulator = build("empty")
    for name, kind in (
        ("Mail", "Channel::Email"),
        ("Bot", "Channel::Telegram"),
        ("Phone", "Channel::Whatsapp"),
        ("Site", "Channel::WebWidget"),
    ):
        foundation.add_inbox(simulator.installation, simulator.account(), name, kind)
    yield simulator
    simulator.close()


@pytest.fixture
async def synced(
    chatwoot: ChatwootSimulator, database_url: str, db: Database, project: Scope, owner_conn: psycopg.Connection
) -> AsyncIterator[SyncedProject]:
    """A project that reads this Chatwoot."""
    with running(create_app(chatwoot)) as url:
        settings = Settings(
            database_url=SecretStr(database_url),
            chatwoot_base_url=url,
            chatwoot_api_token=SecretStr(chatwoot.admin_token),
            chatwoot_account_id=1,
            embedding_provider="local",
        )
        async with open_resources(settings) as resources:
            yield SyncedProject(resources, project, chatwoot, owner_conn, FakeChannel())
