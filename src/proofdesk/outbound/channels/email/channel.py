"""E-mail through a mail relay, over a pool of sessions that adapts to what the relay accepts."""

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
from proofdesk.outbound.channels.email.envelope import SMTP_ERRORS, Envelope, SmtpUtf8Missing, StepFailed
from proofdesk.outbound.channels.email.replies import RefusalScope, ReplyVerdict, SmtpReply
from proofdesk.outbound.channels.email.sessions import SessionRefused, SessionsPaused, SmtpSession, SmtpSessionPool
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidRecipient,
    LookupUnsupported,
    Receipt,
    SendFailed,
)

_NO_SESSION = "The attempt ended before a session with the mail relay was free."
_NO_SMTPUTF8 = (
    "The mail relay does not support SMTPUTF8, so it accepts no address with non-ASCII letters before the @."
    " Use another address of the recipient, or a relay that supports it."
)


class UnsubscribeUrls(Protocol):
    """Where a recipient unsubscribes."""

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """Return the address of that page, None while no public address is configured."""
        ...


class EmailChannel:
    """The channel, through one relay. `timeout` in seconds holds for each SMTP step."""

    name = "email"

    def __init__(
        self, relay: Relay, sender: Address, links: UnsubscribeUrls, *, timeout: float = 30, max_sessions: int = 16
    ):
        self._relay, self._sender, self._links, self._timeout = relay, sender, links, timeout
        self._login = None if relay.username is None else (relay.username, relay.password or "")
        self._sessions = SmtpSessionPool(self._client, self._login, max_sessions)

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the address in lower case, and the payload as `message.check_payload` returns it.

        Raises `InvalidRecipient` or `InvalidPayload`.
        """
        try:
            recipient = address.parse_address(recipient_ref).shown
        except NotAnAddress as error:
            raise InvalidRecipient(f"A recipient must be one e-mail address. {error}") from None
        return recipient, email_message.check_payload(payload)

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that the relay asks for now."""
        return self._sessions.backoff.pause

    @property
    def max_open_sessions(self) -> int:
        """The number of sessions that may be open at once now."""
        return self._sessions.limit

    async def send(self, message: ChannelMessage) -> Receipt:
        """Submit an e-mail once. Raises `SendFailed`.

        Delivery is unknown only when the relay fell silent after it received the text.
        """
        envelope = await self._envelope(message)
        while not await self._submit(envelope):
            pass  # a reused session had ended; take another one, because nothing was handed over
        return Receipt(email_message.format_message_id(message, self._sender))

    async def check_connection(self) -> None:
        """Connect, sign in and close the session. Raises `SendFailed`."""
        try:
            session = await SmtpSession.open(self._client(), self._login)
        except SessionRefused as refused:
            raise self._failure(refused.reply, replies.classify(refused.reply), None) from refused
        await session.close()

    async def find(self, message: ChannelMessage) -> Receipt | None:
        """Raise `LookupUnsupported`: a relay cannot be asked."""
        raise LookupUnsupported

    async def aclose(self) -> None:
        """Close the sessions."""
        await self._sessions.aclose()

    async def _envelope(self, message: ChannelMessage) -> Envelope:
        to = address.parse_address(message.recipient_ref)
        url = await self._links.url(message.project_id, message.id, to.shown)
        needs_utf8 = to.needs_utf8 or not self._sender.username.isascii() or email_message.reply_to_needs_utf8(message)
        email = email_message.compose(message, self._sender, to, url, needs_utf8=needs_utf8)
        return Envelope(self._sender.addr_spec, to.sent, email.as_bytes(), needs_utf8)

    async def _submit(self, envelope: Envelope) -> bool:
        """Submit an e-mail; return False when the reused session had ended. Raises `SendFailed`."""
        session = await self._acquire_session()
        started = time.monotonic()
        try:
            await envelope.submit(session.smtp)
        except StepFailed as failed:
            await self._handle_refusal(session, failed.reply, started)
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

    async def _acquire_session(self) -> SmtpSession:
        try:
            return await self._sessions.acquire()
        except SessionRefused as refused:
            raise self._failure(refused.reply, replies.classify(refused.reply), refused.pause) from refused
        except SessionsPaused as paused:
            raise SendFailed(paused.pause.reason, channel_wide=True, retry_after=paused.pause.wait) from None
        except asyncio.CancelledError:  # nothing was handed over, so the message certainly did not arrive
            raise SendFailed(_NO_SESSION, channel_wide=True, retry_after=1) from None

    async def _handle_refusal(self, session: SmtpSession, reply: SmtpReply, started: float) -> None:
        """Raise the refusal of a message, unless its session had ended before the message came."""
        has_ended = reply.code in (None, 421) or not session.smtp.is_connected
        if has_ended:
            self._sessions.discard(session)
        else:
            await self._reset(session)
        if has_ended and reply.step == "MAIL" and session.reused:
            return
        verdict = replies.classify(reply)
        concerns_others = verdict.scope is not RefusalScope.MESSAGE
        pause = self._sessions.record_refusal(reply, verdict, started) if concerns_others else None
        raise self._failure(reply, verdict, pause)

    async def _reset(self, session: SmtpSession) -> None:
        try:
            await session.smtp.rset()
        except BaseException as error:
            self._sessions.discard(session)
            if not isinstance(error, SMTP_ERRORS):
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

    def _failure(self, reply: SmtpReply, verdict: ReplyVerdict, pause: ChannelPause | None) -> SendFailed:
        upstream = {"service": "smtp", "method": reply.step, "endpoint": f"{self._relay.host}:{self._relay.port}"}
        wait = 1.0 if verdict.scope is RefusalScope.SESSION else None
        return SendFailed(
            replies.describe(reply, verdict),
            permanent=verdict.permanent,
            delivery_unknown=verdict.delivery_unknown,
            channel_wide=verdict.scope is not RefusalScope.MESSAGE,
            misconfigured=verdict.advice != "",
            retry_after=wait if pause is None else pause.wait,
            suppression="bounce" if verdict.unreachable else None,
            details={"upstream": upstream | {"status": reply.code}},
        )
