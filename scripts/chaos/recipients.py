"""The recipients: contacts of a simulated Chatwoot and chats of a simulated Telegram, which fail and hang."""

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from proofdesk.audit.events import system_actor
from proofdesk.chatwoot import sync
from proofdesk.core.progress import ignore_progress
from proofdesk.jobs import new_projects
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.outbound import approval, drafts, policies
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.policy_queries import PolicyUpdate
from proofdesk.projects import scope, sources
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators import chatwoot, telegram
from proofdesk_simulators.serving import running

USUAL_CAP, CAPS = 3, (1, 2, 6)
A_PERSON = 3  # messages, on average
BY_VERBS = 20  # one message in so many is drafted and approved by the product's own verbs
AT_ONCE = 4
OUTGOING = 1
THEIRS, MODELS = ("429", "500", "lost_reply", "cut"), ("too_many_requests", "server_error", "lost_reply", "cut")


@dataclass(eq=False)
class Person:
    """A recipient on one channel. `number` is their conversation in Chatwoot, or their chat in Telegram."""

    inside: Scope
    account: int
    channel: str
    number: int
    cap: int = USUAL_CAP
    was_out: bool = False

    @property
    def ref(self) -> str:
        if self.channel == "telegram":
            return str(self.number)
        return f"cw:{self.inside.project_id}:{self.account}:{self.number}"


class Recipients:
    """The simulated services, which run inside the `with` block, and all recipients.

    A message says its own idempotency key, so that what arrived can be counted where it arrived.
    """

    def __init__(self, accounts: int, messages: int, lease: float, random_source: random.Random):
        self.messages, self.lease = messages, lease
        self.chatwoot, self.telegram = chatwoot.build("empty"), telegram.TelegramSimulator()
        self.people: list[Person] = []
        self._accounts, self._chance, self._open = accounts, random_source, ExitStack()
        self._strong = 0

    def __enter__(self) -> Self:
        self.chatwoot_url = self._open.enter_context(running(chatwoot.create_app(self.chatwoot)))
        self.telegram_url = self._open.enter_context(running(telegram.create_app(self.telegram)))
        self._open.callback(self.chatwoot.close)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    @asynccontextmanager
    async def opened(self, url: str) -> AsyncIterator[Resources]:
        """Open the resources of Proofdesk, for the functions that people use."""
        settings = Settings(
            database_url=SecretStr(url),
            chatwoot_base_url=self.chatwoot_url,
            chatwoot_api_token=SecretStr(self.chatwoot.admin_token),
            embedding_provider="local",
        )
        async with open_resources(settings) as resources:
            yield resources

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment of the workers, without the settings of the caller."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "DATABASE_URL": url,
            "DATABASE_POOL_SIZE": "6",
            "CHATWOOT_BASE_URL": self.chatwoot_url,
            "CHATWOOT_API_TOKEN": self.chatwoot.admin_token,
            "TELEGRAM_API_BASE_URL": self.telegram_url,
            "TELEGRAM_BOT_TOKEN": self.telegram.token,
            "OUTBOUND_LEASE_SECONDS": str(self.lease),
            "EMBEDDING_PROVIDER": "local",
            "WORKER_INTERVAL_SECONDS": "1",
            "WORKER_TICK_LIMIT": "100",
            "AUTH_PASSWORD": "only for this hour",
            "LOG_FORMAT": "json",
        }

    async def gather(self, resources: Resources) -> None:
        """Create a project for each account with its recipients, sync it, and set the policies."""
        each = max(2, self.messages // (self._accounts * 2 * A_PERSON))
        chats = itertools.count(10_000)
        for account in range(1, self._accounts + 1):
            made = await new_projects.create(resources.db, system_actor(), f"Project {account}")
            inside = await scope.enter(resources.db, system_actor(), made.id)
            await sources.bind(resources.db, inside, "chatwoot_account", str(account))
            inbox = 1 if account == 1 else next(iter(self.chatwoot.add_account(account, f"Account {account}").inboxes))
            for _ in range(each):
                talk = self.chatwoot.create_conversation(inbox, account_id=account, content="Hello?")
                self.people.append(Person(inside, account, "chatwoot", talk.id))
                self.people.append(Person(inside, account, "telegram", self.telegram.person(next(chats)).id))
        await self._at_once(self._read(resources, person.inside) for person in self.people[:: 2 * each])
        allowing = self._chance.sample(self.people, len(self.people) // 3)
        await self._at_once(self._allow(resources, person) for person in allowing)

    async def approve(self, resources: Resources, db: psycopg.Connection) -> None:
        """Approve all messages: some by the functions that people use, the others by two SQL statements."""
        to = [(f"Message {number}", self._chance.choice(self.people)) for number in range(self.messages)]
        await self._at_once(self._draft(resources, key, person) for key, person in to[::BY_VERBS])
        wanted = [
            {"project": str(p.inside.project_id), "channel": p.channel, "recipient": p.ref, "key": key}
            for number, (key, p) in enumerate(to)
            if number % BY_VERBS
        ]
        db.execute(_DRAFT, [Jsonb(wanted)])
        db.execute(_APPROVE)

    def inject_faults(self, calls: int, hang: int) -> None:
        """Let one call in so many fail on both channels, in four ways in turn, and one in `hang` exceed the timeout."""
        every, too_long = 4 * calls, self.lease * 0.7  # calls are cut off at half of the lease
        faults = self.chatwoot.faults
        for turn, (theirs, bots) in enumerate(zip(THEIRS, MODELS, strict=True)):
            faults.add(theirs, method="POST", path="*/messages", every=every, skip=turn * calls - every)
            self.telegram.fail(bots, method="sendMessage", every=every, seen=turn * calls)
        faults.add("delay", method="POST", path="*/messages", every=hang, delay=too_long)
        self.telegram.fail("delay", method="sendMessage", every=hang, delay=too_long)
        self._faults = [("Chatwoot", f) for f in faults.rows] + [("Telegram", f) for f in self.telegram.faults]

    def stop_faults(self) -> None:
        """Let no further request fail."""
        self.chatwoot.faults.clear()
        self.telegram.faults.clear()

    def faults_count(self) -> list[tuple[str, str, int]]:
        """Return service, kind and number of the faults that occurred."""
        return [(service, fault.kind, fault.struck) for service, fault in self._faults]

    async def change_consent(self, resources: Resources) -> None:
        """Let one contact opt out, mark one as having replied, and let two write into Chatwoot, one of them STOP."""
        out, replied = (self._chance.choice(self.people) for _ in range(2))
        await policies.change_policy(resources.db, out.inside, out.ref, out.channel, PolicyUpdate(opted_out=True))
        await policies.change_policy(
            resources.db, replied.inside, replied.ref, replied.channel, PolicyUpdate(replied=True)
        )
        writing = self._chance.sample([p for p in self.people if p.channel == "chatwoot"], 2)
        for person, text in zip(writing, ("One moment, please.", "STOP"), strict=True):
            self.chatwoot.append_message(person.number, text, account_id=person.account)

    def arrived(self) -> Counter[str]:
        """Return what the providers received, by recipient and text."""
        found = Counter(message.text for message in list(self.telegram.sent))
        talks = [t for a in self.chatwoot.installation.accounts.values() for t in list(a.conversations.values())]
        return found + Counter(m.content or "" for t in talks for m in list(t.messages) if m.message_type == OUTGOING)

    @staticmethod
    async def _at_once(calls: Any) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(call: Coroutine[Any, Any, object]) -> None:
            async with room:
                await call

        await asyncio.gather(*(one(call) for call in calls))

    @staticmethod
    async def _read(resources: Resources, inside: Scope) -> None:
        assert resources.chatwoot is not None
        await sync.run(resources.db, resources.chatwoot, inside, sync.SyncOptions(), ignore_progress)

    async def _allow(self, resources: Resources, person: Person) -> None:
        if self._chance.random() < 1 / 3:
            person.was_out, wanted = True, PolicyUpdate(opted_out=True)
        else:
            person.cap = self._chance.choice(CAPS)
            wanted = PolicyUpdate(frequency_cap=person.cap)
        await policies.change_policy(resources.db, person.inside, person.ref, person.channel, wanted)

    @staticmethod
    async def _draft(resources: Resources, key: str, person: Person) -> None:
        drafted, _ = await drafts.create(
            resources.db, person.inside, DraftRequest(person.channel, person.ref, {"text": key}, key)
        )
        await approval.approve(resources.db, person.inside, drafted.id)


_DRAFT = """
    INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,
                                   idempotency_key, request_hash, max_retries, created_by)
    SELECT p.id, p.account_scope_id, w.channel, w.recipient, jsonb_build_object('text', w.key), '[]', w.key,
           sha256(convert_to(w.key, 'UTF8')), 5, 'chaos'
    FROM jsonb_to_recordset(%s) AS w (project uuid, channel text, recipient text, key text)
    JOIN projects p ON p.id = w.project"""
_APPROVE = """
    UPDATE outbound_messages SET status = 'approved', approved_by = 'chaos', approved_at = clock_timestamp(),
                                 approved_hash = content_hash, next_attempt_at = clock_timestamp()
    WHERE status = 'draft'"""
