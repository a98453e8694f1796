"""The services of the reading test: a simulated Chatwoot with an account for each project, and a simulated OpenAI."""

import gzip
import json
import os
import random
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import open_database
from proofdesk.jobs import new_projects
from proofdesk.projects import scope, sources
from proofdesk_simulators import chatwoot, openai
from proofdesk_simulators.serving import running

DIMENSION = 256
MESSAGES_PER_CONVERSATION = 8  # messages
ARRIVING = 10  # one message in so many comes while workers are killed
SLOW = 1.0
FAULTS = (("500", "server_error"), ("429", "rate_limit"), ("half", "half"), ("delay", "delay"))
KEY = "sk-chaos"


def texts() -> list[str]:
    """Return texts of messages: of the corpus in PROOFDESK_CORPUS_DIR if it is set, else of the sample studio."""
    folder = os.environ.get("PROOFDESK_CORPUS_DIR")
    if folder:
        with gzip.open(Path(folder) / "conversations.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [message["text"] for line in lines for message in json.loads(line)["messages"]]
    studio = chatwoot.build("studio")
    written = [m["content"] for m in studio.truth()["messages"] if m["content"]]
    studio.close()
    return written


class World:
    """The simulated services, which run inside the `with` block, and their contents."""

    def __init__(self, accounts: int, messages: int, written: list[str], random_source: random.Random):
        self.messages = messages
        self.accounts = {number: UUID(int=0) for number in range(1, accounts + 1)}
        self.chatwoot, self.openai = chatwoot.build("empty"), openai.OpenAISimulator()
        self.openai.switches.key = KEY
        self._written, self._chance = written, random_source
        self._started = time.monotonic()
        self._open = ExitStack()
        self._coming = self._fill()
        self._to_come = len(self._coming)

    def __enter__(self) -> Self:
        self.chatwoot_url = self._open.enter_context(running(chatwoot.create_app(self.chatwoot)))
        self.openai_url = self._open.enter_context(running(openai.create_app(self.openai)))
        self._open.callback(self.chatwoot.close)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    @property
    def age(self) -> float:
        return time.monotonic() - self._started

    @property
    def arrived(self) -> bool:
        """Whether the last message has been written."""
        return not self._coming

    @property
    def written(self) -> int:
        """The number of messages that have been written."""
        return self.messages - len(self._coming)

    @property
    def requests(self) -> int:
        """The number of requests until now."""
        return self.chatwoot.journal.count() + len(self.openai.requests)

    async def create_projects(self, url: str) -> None:
        """Create a project for each account."""
        async with open_database(url, 2) as db:
            for account in self.accounts:
                made = await new_projects.create(db, system_actor(), f"Project {account}")
                self.accounts[account] = made.id
                inside = await scope.enter(db, system_actor(), made.id)
                await sources.bind(db, inside, "chatwoot_account", str(account))

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment of the workers, without the settings of the caller."""
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "DATABASE_URL": url,
            "DATABASE_POOL_SIZE": "6",
            "CHATWOOT_BASE_URL": self.chatwoot_url,
            "CHATWOOT_API_TOKEN": self.chatwoot.admin_token,
            "CHATWOOT_CONCURRENCY": "4",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"{self.openai_url}/v1",
            "EMBEDDING_PROVIDER": "openai",
            "EMBEDDING_DIM": str(DIMENSION),
            "EMBED_BATCH_SIZE": "20",
            "EMBED_STALE_RECOVERY_MINUTES": "1",
            "WORKER_INTERVAL_SECONDS": "2",
            "WORKER_TICK_LIMIT": "100",
            "AUTH_PASSWORD": "only for this hour",
            "LOG_FORMAT": "json",
        }

    def inject_faults(self, requests: int) -> None:
        """Let one request in so many fail, at both services, in four ways in turn."""
        every = 4 * requests
        for turn, (theirs, models) in enumerate(FAULTS, 1):
            # Each begins a turn later; below zero, since the first turn is not to be skipped.
            how: dict[str, Any] = {"every": every, "skip": turn * requests - every}
            how["delay"] = SLOW if theirs == "delay" else 0.0
            self.chatwoot.faults.add(theirs, path="/api/*", **how)
            self.openai.fail(models, **how)
        self._faults = [*self.chatwoot.faults.rows, *self.openai.faults]

    def stop_faults(self) -> None:
        """Let no further request fail."""
        self.chatwoot.faults.clear()
        self.openai.faults = []

    def faults_count(self) -> list[tuple[str, str, int]]:
        """Return service, kind and number of the faults that occurred."""
        faults = getattr(self, "_faults", [])
        services = ["Chatwoot"] * (len(faults) // 2) + ["OpenAI"] * (len(faults) // 2)
        return [(service, fault.kind, fault.struck) for service, fault in zip(services, faults, strict=True)]

    def write_messages(self, share: float) -> None:
        """Write some of the remaining messages."""
        for _ in range(min(len(self._coming), 1 + int(self._to_come * share))):
            account, conversation = self._coming.pop()
            self._write(account, conversation)

    def truth(self, account: int) -> list[dict[str, Any]]:
        """Return the messages of an account as Chatwoot has them."""
        return self.chatwoot.truth(account)["messages"]

    def _fill(self) -> list[tuple[int, int]]:
        """Write all but the last messages. Return the account and conversation of these, in a random order."""
        coming: list[tuple[int, int]] = []
        first = self.chatwoot.clock.now() - self.messages - 60
        inboxes = {1: 1}
        for account in self.accounts:
            if account != 1:
                inboxes[account] = next(iter(self.chatwoot.add_account(account, f"Account {account}").inboxes))
        written = conversation = 0
        while written < self.messages:
            account = 1 + (conversation % len(self.accounts))
            conversation += 1
            made = self.chatwoot.create_conversation(
                inboxes[account], account_id=account, contact_name=f"Visitor {conversation}", at=first + written
            )
            for _ in range(min(MESSAGES_PER_CONVERSATION, self.messages - written)):
                written += 1
                if written % ARRIVING == 0:
                    coming.append((account, made.id))
                else:
                    self._write(account, made.id, at=first + written)
        self._chance.shuffle(coming)
        return coming

    def _write(self, account: int, conversation: int, at: float | None = None) -> None:
        kind = self._chance.choice(("incoming", "outgoing"))
        text = self._chance.choice(self._written)
        self.chatwoot.append_message(conversation, text, account_id=account, message_type=kind, at=at)
