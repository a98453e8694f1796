"""A healthy installation that notifies people: simulated Telegram and mail, and a receiver of webhooks."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from proofdesk.incidents import watching
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.settings import Settings
from proofdesk_simulators import smtp
from proofdesk_simulators.serving import running
from tests.support.installation import Installation


@dataclass
class Receiver:
    """A server that accepts webhooks and heartbeats, or answers with another status."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["path"], headers, body))
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def receiver_server() -> Iterator[tuple[Receiver, str]]:
    """Start the receiver. Yield it with its address."""
    receiver = Receiver()
    with running(receiver) as url:
        yield receiver, url


@pytest.fixture
def receiver(receiver_server: tuple[Receiver, str]) -> Receiver:
    """Return the receiver, which has received nothing and accepts everything."""
    receiver_server[0].requests.clear()
    receiver_server[0].status = 200
    return receiver_server[0]


@dataclass
class Desk:
    """The installation, its receivers, and a way to watch it."""

    installation: Installation
    relay: smtp.SmtpSimulator
    receiver: Receiver

    @asynccontextmanager
    async def resources(self) -> AsyncIterator[Resources]:
        """Open the resources of a worker."""
        async with open_resources(Settings(**self.installation.settings)) as resources:
            yield resources

    async def watch(self, times: int = 1) -> dict[str, Any]:
        """Watch the project so many times, some minutes apart. Return the counts of the last time."""
        async with self.resources() as resources:
            counts = dict[str, Any]()
            for _ in range(times):
                self.pass_time("5 minutes")
                counts = await watching.watch(resources, self.installation.scope)
        return counts

    def pass_time(self, interval: str) -> None:
        """Let everything about incidents be older."""
        self.installation.sql(
            "UPDATE incidents SET observed_at = observed_at - %(i)s::interval, opened_at = opened_at - %(i)s::interval,"
            " closed_at = closed_at - %(i)s::interval, remind_at = remind_at - %(i)s::interval",
            i=interval,
        )
        self.installation.sql(
            "UPDATE incident_notifications SET claimed_at = claimed_at - %(i)s::interval,"
            " retry_at = retry_at - %(i)s::interval",
            i=interval,
        )

    def states(self) -> list[tuple[str, str, str]]:
        """Return runbook, check and state of each incident."""
        return self.installation.rows("SELECT runbook, check_id, state FROM incidents ORDER BY opened_at, check_id")

    @property
    def mails(self) -> list[str]:
        """The subjects of the mails that arrived."""
        return [mail.message["subject"] for mail in self.relay.received]

    @property
    def texts(self) -> list[str]:
        """The messages that the owner got from the bot."""
        return [message.text for message in self.installation.telegram.sent if message.chat_id == 4711]


@pytest.fixture
async def desk(
    installation: Installation,
    relay: smtp.SmtpSimulator,
    mail_server: tuple[smtp.SmtpSimulator, str],
    receiver: Receiver,
    receiver_server: tuple[Receiver, str],
) -> Desk:
    """Return an installation with all three channels."""
    installation.set(
        smtp_url=SecretStr(mail_server[1]),
        smtp_from="Proofdesk <desk@example.com>",
        notify_email="ops@example.com",
        notify_webhook_url=SecretStr(f"{receiver_server[1]}/hook"),
    )
    installation.telegram.person(4711)
    return Desk(installation, relay, receiver)
