"""Mail through a relay, over a pool of sessions that adapts to what the relay takes."""

import asyncio
import ssl
import time
from email.headerregistry import Address
from typing import Any, Protocol
from uuid import UUID

import aiosmtplib

from proofdesk.core.mail_relay import Relay
from proofdesk.outbound.channels.backoff import ChannelPause
from proofdesk.outbound.channels.email import address, replies
from proofdesk.outbound.channels.email import message as email_message
from proofdesk.outbound.channels.email.address import NotAnAddress
from proofdesk.outbound.channels.email.envelope import FAILURES, Envelope, SmtpUtf8Missing, StepFailed
from proofdesk.outbound.channels.email.replies import RefusalScope, ReplyVerdict, SmtpReply
from proofdesk.outbound.channels.email.sessions import SessionRefused, SessionsPaused, SmtpSession, SmtpSessionPool
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidRecipient,
    LookupUnsupported,
    Receipt,
    SendFailed,
)

_NO_ROOM = "The attempt ended before the mail relay had a session for it."
_NO_SMTPUTF8 = (
    "The mail relay does not support SMTPUTF8, so it takes no address with letters beyond ASCII before the @."
    " Use another address of the recipient, or a relay that supports it."
)


class UnsubscribeUrls(Protocol):
    """Where somebody says that they want no more mail."""

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """The address of that page, None while nobody could open it."""
        ...


class EmailChannel:
    """The channel, through one relay. `timeout`, in seconds, is that of each step; `most` sessions are open at once."""

    name = "email"

    def __init__(self, relay: Relay, sender: Address, links: UnsubscribeUrls, *, timeout: float = 30, most: int = 16):
        self._relay, self._sender, self._links, self._timeout = relay, sender, links, timeout
        self._login = None if relay.username is None else (relay.username, relay.password or "")
        self._sessions = SmtpSessionPool(self._client, self._login, most)

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """An address, put in lower case; the payload as in `letter.checked`. Raises `InvalidRecipient`,
        `InvalidPayload`."""
        try:
            recipient = address.parse_address(recipient_ref).shown
        except NotAnAddress as error:
            raise InvalidRecipient(f"A recipient is one e-mail address: {error}") from None
        return recipient, email_message.check_payload(payload)

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that the relay asks for now."""
        return self._sessions.backoff.pause

    @property
    def sessions(self) -> int:
        """Sessions that are used at once now."""
        return self._sessions.limit

    async def send(self, message: ChannelMessage) -> Receipt:
        """Hand one letter over. Raises `SendFailed`: whether it was delivered is unknown only when the relay fell
        silent after it was given the text."""
        envelope = await self._envelope(message)
        while not await self._taken(envelope):
            pass  # the session had ended since its last message; another one, before anything was handed over
        return Receipt(email_message.format_message_id(message, self._sender))

    async def check_connection(self) -> None:
        """Connect, sign in and leave: whether the relay is there for us. Raises `SendFailed`."""
        try:
            session = await SmtpSession.open(self._client(), self._login)
        except SessionRefused as refused:
            raise self._failed(refused.reply, replies.classify(refused.reply), None) from refused
        await session.close()

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """A relay cannot be asked: raises `LookupUnsupported`."""
        raise LookupUnsupported

    async def aclose(self) -> None:
        """Close the sessions."""
        await self._sessions.aclose()

    async def _envelope(self, message: ChannelMessage) -> Envelope:
        to = address.parse_address(message.recipient_ref)
        url = await self._links.url(message.project_id, message.id, to.shown)
        in_utf8 = to.needs_utf8 or not self._sender.username.isascii() or email_message.reply_to_needs_utf8(message)
        written = email_message.compose(message, self._sender, to, url, in_utf8=in_utf8)
        return Envelope(self._sender.addr_spec, to.sent, written.as_bytes(), in_utf8)

    async def _taken(self, envelope: Envelope) -> bool:
        """Whether the relay took the letter; False when the session was over. Raises `SendFailed`."""
        session = await self._session()
        began = time.monotonic()
        try:
            await envelope.submit(session.smtp)
        except StepFailed as failed:
            await self._end_refused(session, failed.reply, began)
            return False
        except SmtpUtf8Missing:
            self._sessions.release(session)
            raise SendFailed(_NO_SMTPUTF8, permanent=True) from None
        except BaseException:
            self._sessions.discard(session)
            raise
        self._sessions.record_success()
        self._sessions.release(session)
        return True

    async def _session(self) -> SmtpSession:
        try:
            return await self._sessions.acquire()
        except SessionRefused as refused:
            raise self._failed(refused.reply, replies.classify(refused.reply), refused.pause) from refused
        except SessionsPaused as waiting:
            pause = waiting.pause
            raise SendFailed(pause.reason, channel_wide=True, retry_after=pause.wait) from None
        except asyncio.CancelledError:  # nothing was handed over, so its outcome is known
            raise SendFailed(_NO_ROOM, channel_wide=True, retry_after=1) from None

    async def _end_refused(self, session: SmtpSession, reply: SmtpReply, began: float) -> None:
        """Raise the refusal of a message, unless its session was over before the message came."""
        over = reply.code in (None, 421) or not session.smtp.is_connected
        if over:
            self._sessions.discard(session)
        else:
            await self._reset(session)
        if over and reply.step == "MAIL" and session.reused:
            return
        verdict = replies.classify(reply)
        together = verdict.scope is not RefusalScope.MESSAGE
        raise self._failed(reply, verdict, self._sessions.record_refusal(reply, verdict, began) if together else None)

    async def _reset(self, session: SmtpSession) -> None:
        try:
            await session.smtp.rset()
        except BaseException as error:
            self._sessions.discard(session)
            if not isinstance(error, FAILURES):
                raise
        else:
            self._sessions.release(session)

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

    def _failed(self, reply: SmtpReply, verdict: ReplyVerdict, pause: ChannelPause | None) -> SendFailed:
        where = {"service": "smtp", "method": reply.step, "endpoint": f"{self._relay.host}:{self._relay.port}"}
        wait = 1.0 if verdict.scope is RefusalScope.SESSION else None
        return SendFailed(
            replies.describe(reply, verdict),
            permanent=verdict.permanent,
            delivery_unknown=verdict.delivery_unknown,
            channel_wide=verdict.scope is not RefusalScope.MESSAGE,
            misconfigured=verdict.advice != "",
            retry_after=wait if pause is None else pause.wait,
            details={"upstream": where | {"status": reply.code}},
        )
