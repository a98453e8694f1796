"""Mail through a relay, over a pool of sessions that adapts to what the relay takes."""

import asyncio
import ssl
import time
from email.headerregistry import Address
from typing import Any, Protocol
from uuid import UUID

import aiosmtplib

from proofdesk.core.mail_relay import Relay
from proofdesk.outbound.channels.backoff import Pause
from proofdesk.outbound.channels.email import address, replies
from proofdesk.outbound.channels.email import message as email_message
from proofdesk.outbound.channels.email.address import NotAnAddress
from proofdesk.outbound.channels.email.envelope import FAILURES, Envelope, SmtpUtf8Missing, StepFailed
from proofdesk.outbound.channels.email.replies import Reply, Scope, Verdict
from proofdesk.outbound.channels.email.sessions import Session, SessionRefused, Sessions, Waiting
from proofdesk.outbound.channels.interface import InvalidRecipient, LookupUnsupported, Message, Receipt, SendFailed

_NO_ROOM = "The attempt ended before the mail relay had a session for it."
_NO_SMTPUTF8 = (
    "The mail relay does not support SMTPUTF8, so it takes no address with letters beyond ASCII before the @."
    " Use another address of the recipient, or a relay that supports it."
)


class Links(Protocol):
    """Where somebody says that they want no more mail."""

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """The address of that page, None while nobody could open it."""
        ...


class Channel:
    """The channel, through one relay. `timeout`, in seconds, is that of each step; `most` sessions are open at once."""

    channel = "email"

    def __init__(self, relay: Relay, sender: Address, links: Links, *, timeout: float = 30, most: int = 16):
        self._relay, self._sender, self._links, self._timeout = relay, sender, links, timeout
        self._login = None if relay.username is None else (relay.username, relay.password or "")
        self._sessions = Sessions(self._client, self._login, most)

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """An address, put in lower case; the payload as in `letter.checked`. Raises `InvalidRecipient`,
        `InvalidPayload`."""
        try:
            recipient = address.parse(recipient_ref).shown
        except NotAnAddress as error:
            raise InvalidRecipient(f"A recipient is one e-mail address: {error}") from None
        return recipient, email_message.checked(payload)

    @property
    def pause(self) -> Pause | None:
        """The wait that the relay asks for now."""
        return self._sessions.backoff.pause

    @property
    def sessions(self) -> int:
        """Sessions that are used at once now."""
        return self._sessions.limit

    async def send(self, message: Message) -> Receipt:
        """Hand one letter over. Raises `SendFailed`: whether it was delivered is unknown only when the relay fell
        silent after it was given the text."""
        envelope = await self._envelope(message)
        while not await self._taken(envelope):
            pass  # the session had ended since its last message; another one, before anything was handed over
        return Receipt(email_message.message_id(message, self._sender))

    async def greet(self) -> None:
        """Connect, sign in and leave: whether the relay is there for us. Raises `SendFailed`."""
        try:
            session = await Session.open(self._client(), self._login)
        except SessionRefused as refused:
            raise self._failed(refused.reply, replies.classify(refused.reply), None) from refused
        await session.close()

    async def find(self, message: Message) -> Receipt | None:
        """A relay cannot be asked: raises `LookupUnsupported`."""
        raise LookupUnsupported

    async def aclose(self) -> None:
        """Close the sessions."""
        await self._sessions.aclose()

    async def _envelope(self, message: Message) -> Envelope:
        to = address.parse(message.recipient_ref)
        url = await self._links.url(message.project_id, message.id, to.shown)
        in_utf8 = to.needs_utf8 or not self._sender.username.isascii() or email_message.answers_in_utf8(message)
        written = email_message.written(message, self._sender, to, url, in_utf8=in_utf8)
        return Envelope(self._sender.addr_spec, to.sent, written.as_bytes(), in_utf8)

    async def _taken(self, envelope: Envelope) -> bool:
        """Whether the relay took the letter; False when the session was over. Raises `SendFailed`."""
        session = await self._session()
        began = time.monotonic()
        try:
            await envelope.hand_over(session.smtp)
        except StepFailed as failed:
            await self._end_refused(session, failed.reply, began)
            return False
        except SmtpUtf8Missing:
            self._sessions.put(session)
            raise SendFailed(_NO_SMTPUTF8, permanent=True) from None
        except BaseException:
            self._sessions.drop(session)
            raise
        self._sessions.succeeded()
        self._sessions.put(session)
        return True

    async def _session(self) -> Session:
        try:
            return await self._sessions.take()
        except SessionRefused as refused:
            raise self._failed(refused.reply, replies.classify(refused.reply), refused.pause) from refused
        except Waiting as waiting:
            pause = waiting.pause
            raise SendFailed(pause.reason, of_provider=True, retry_after=pause.wait) from None
        except asyncio.CancelledError:  # nothing was handed over, so its outcome is known
            raise SendFailed(_NO_ROOM, of_provider=True, retry_after=1) from None

    async def _end_refused(self, session: Session, reply: Reply, began: float) -> None:
        """Raise the refusal of a message, unless its session was over before the message came."""
        over = reply.code in (None, 421) or not session.smtp.is_connected
        if over:
            self._sessions.drop(session)
        else:
            await self._reset(session)
        if over and reply.step == "MAIL" and session.reused:
            return
        verdict = replies.classify(reply)
        together = verdict.scope is not Scope.MESSAGE
        raise self._failed(reply, verdict, self._sessions.refused(reply, verdict, began) if together else None)

    async def _reset(self, session: Session) -> None:
        try:
            await session.smtp.rset()
        except BaseException as error:
            self._sessions.drop(session)
            if not isinstance(error, FAILURES):
                raise
        else:
            self._sessions.put(session)

    def _client(self) -> aiosmtplib.SMTP:
        relay = self._relay
        return aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            use_tls=relay.tls == "implicit",
            start_tls=relay.tls == "starttls",
            tls_context=None if relay.tls == "none" else ssl.create_default_context(),
            local_hostname=self._sender.domain,
            timeout=self._timeout,
        )

    def _failed(self, reply: Reply, verdict: Verdict, pause: Pause | None) -> SendFailed:
        where = {"service": "smtp", "method": reply.step, "endpoint": f"{self._relay.host}:{self._relay.port}"}
        wait = 1.0 if verdict.scope is Scope.SESSION else None
        return SendFailed(
            replies.describe(reply, verdict),
            permanent=verdict.permanent,
            delivered_unknown=verdict.unknown,
            of_provider=verdict.scope is not Scope.MESSAGE,
            misconfigured=verdict.advice != "",
            retry_after=wait if pause is None else pause.wait,
            details={"upstream": where | {"status": reply.code}},
        )
