"""Sending events to webhooks: a background queue, one attempt per event, in no guaranteed order."""

import ipaddress
import queue
import threading
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2

from proofdesk_simulators.chatwoot import signature
from proofdesk_simulators.chatwoot.installation import Event, Installation
from proofdesk_simulators.chatwoot.records import Attributes, Contact, Conversation, Message
from proofdesk_simulators.chatwoot.views import events

TIMEOUT = 5.0


@dataclass(slots=True)
class WebhookJob:
    """One event for one URL. It keeps its delivery id when it runs again."""

    event: Event
    url: str
    secret: str | None
    delivery_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(slots=True)
class DeliveryResult:
    """A request that was sent, or an event that was dropped. `error` is the reason of a failure."""

    event: str
    url: str
    delivery_id: str
    subject_id: int
    status: int | None = None
    error: str | None = None


@dataclass(slots=True)
class QueueBehaviour:
    """How the queue misbehaves.

    `duplicate`: none, same (the job runs twice, one delivery id) or different (the event fires twice).
    `lose_every`: drop each n-th job. `reverse`: send the jobs of a batch in reverse order.
    `paused`: jobs wait until `resume`. `refuse_private`: drop events for private networks.
    """

    duplicate: str = "none"
    lose_every: int = 0
    reverse: bool = False
    paused: bool = False
    refuse_private: bool = False
    timeout: float = TIMEOUT


class WebhookQueue:
    """Listens to an installation and posts its events from a background thread."""

    def __init__(self, installation: Installation, transport: httpx2.BaseTransport | None = None) -> None:
        self.behaviour = QueueBehaviour()
        self.attempts: list[DeliveryResult] = []
        self._installation = installation
        self._transport = transport
        self._waiting: list[WebhookJob] = []
        self._queue: queue.Queue[WebhookJob | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._count = 0
        installation.listeners.append(self.accept)

    def accept(self, event: Event) -> None:
        for url, secret in _targets(event):
            self._count += 1
            if self.behaviour.lose_every and self._count % self.behaviour.lose_every == 0:
                continue
            job = WebhookJob(event, url, secret)
            self._enqueue(job)
            if self.behaviour.duplicate == "same":
                self._enqueue(job)
            elif self.behaviour.duplicate == "different":
                self._enqueue(WebhookJob(event, url, secret))

    def resume(self) -> None:
        """Send the waiting jobs, in reverse order if configured."""
        self.behaviour.paused = False
        waiting, self._waiting = self._waiting, []
        for job in reversed(waiting) if self.behaviour.reverse else waiting:
            self._start(job)

    def drain(self, timeout: float = 10.0) -> bool:
        """Wait until every queued job was attempted. Return False after `timeout` seconds."""
        finished = threading.Thread(target=self._queue.join, daemon=True)
        finished.start()
        finished.join(timeout)
        return not finished.is_alive()

    def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(TIMEOUT * 2)
            self._thread = None

    def _enqueue(self, job: WebhookJob) -> None:
        if self.behaviour.paused or self.behaviour.reverse:
            self._waiting.append(job)
        else:
            self._start(job)

    def _start(self, job: WebhookJob) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="chatwoot-deliveries", daemon=True)
            self._thread.start()
        self._queue.put(job)

    def _run(self) -> None:
        with httpx2.Client(transport=self._transport, trust_env=False) as client:
            while (job := self._queue.get()) is not None:
                try:
                    self._send(client, job)
                finally:
                    self._queue.task_done()
            self._queue.task_done()

    def _send(self, client: httpx2.Client, job: WebhookJob) -> None:
        attempt = DeliveryResult(job.event.name, job.url, job.delivery_id, job.event.subject.id)
        with self._installation.lock:
            # Built from the current rows: an event whose record was deleted is lost.
            payload = events.payload(self._installation, job.event) if _exists(self._installation, job) else None
        if payload is None:
            attempt.error = "record is gone"
        elif self.behaviour.refuse_private and _is_private(job.url):
            attempt.error = "private network"
        else:
            self._post(client, job, payload, attempt)
        self.attempts.append(attempt)

    def _post(self, client: httpx2.Client, job: WebhookJob, payload: Attributes, attempt: DeliveryResult) -> None:
        raw = signature.body(payload)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "X-Chatwoot-Delivery": job.delivery_id,
        }
        if job.secret:
            timestamp = str(int(self._installation.now()))
            headers["X-Chatwoot-Timestamp"] = timestamp
            headers["X-Chatwoot-Signature"] = signature.sign(job.secret, timestamp, raw)
        try:
            answer = client.post(job.url, content=raw, headers=headers, timeout=self.behaviour.timeout)
            attempt.status = answer.status_code
        except httpx2.HTTPError as error:
            attempt.error = type(error).__name__


def _targets(event: Event) -> list[tuple[str, str | None]]:
    """Return the subscribed webhooks of the account, and the callback of the event's API inbox."""
    subject = event.subject
    hooks = event.account.webhooks.values()
    found: list[tuple[str, str | None]] = [(h.url, h.secret) for h in hooks if event.name in h.subscriptions]
    if not isinstance(subject, Contact):
        inbox = subject.conversation.inbox if isinstance(subject, Message) else subject.inbox
        if inbox.channel_type == "Channel::Api" and inbox.webhook_url:
            found.append((inbox.webhook_url, inbox.secret))
    return found


def _exists(installation: Installation, job: WebhookJob) -> bool:
    subject = job.event.subject
    if isinstance(subject, Message):
        return subject.id in installation.messages
    rows = job.event.account.conversations if isinstance(subject, Conversation) else job.event.account.contacts
    return subject.id in rows


def _is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"
