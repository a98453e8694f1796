"""Mail through a relay: one connection a message, so that nothing of one can hold up or leak into another."""

import asyncio
import contextlib
import ssl
from email.headerregistry import Address
from typing import Any, Protocol
from uuid import UUID

import aiosmtplib

from proofdesk.outbound.providers.email import address, letter
from proofdesk.outbound.providers.email.address import NotAnAddress
from proofdesk.outbound.providers.provider import InvalidRecipient, LookupUnsupported, Message, Receipt, SendFailed
from proofdesk.relay import Relay

_LOGIN = {454, 530, 534, 535, 538}  # RFC 4954: what a relay says about the login and not about the message
_QUIT_WITHIN = 2.0


class Links(Protocol):
    """Where somebody says that he wants no more mail."""

    async def url(self, project_id: UUID, message_id: UUID, recipient: str) -> str | None:
        """The address of that page, None while nobody could open it."""
        ...


class Channel:
    """The channel, through one relay. `timeout`, in seconds, is that of each step."""

    channel = "email"

    def __init__(self, relay: Relay, sender: Address, links: Links, *, timeout: float = 30):
        self._relay, self._sender, self._links, self._timeout = relay, sender, links, timeout

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """An address, put in lower case; the payload as in `letter.checked`. Raises `InvalidRecipient`,
        `InvalidPayload`."""
        try:
            recipient = address.parse(recipient_ref).shown
        except NotAnAddress as error:
            raise InvalidRecipient(f"A recipient is one e-mail address: {error}") from None
        return recipient, letter.checked(payload)

    async def send(self, message: Message) -> Receipt:
        """Hand one letter over. Raises `SendFailed`: whether it was delivered is unknown only when the relay fell
        silent after it was given the text."""
        to = address.parse(message.recipient_ref)
        url = await self._links.url(message.project_id, message.id, to.shown)
        in_utf8 = to.needs_utf8 or not self._sender.username.isascii()
        written = letter.written(message, self._sender, to, url, in_utf8=in_utf8)
        smtp = self._client()
        step = "CONNECT"
        try:
            await smtp.connect()
            if in_utf8:
                await smtp.ehlo()
            if in_utf8 and not smtp.supports_extension("smtputf8"):
                raise SendFailed("The mail relay takes no addresses with letters beyond ASCII.", permanent=True)
            options, encoding = (["SMTPUTF8"], "utf-8") if in_utf8 else ([], "ascii")
            step = "MAIL"
            await smtp.mail(self._sender.addr_spec, options=options, encoding=encoding)
            step = "RCPT"
            await smtp.rcpt(to.sent, encoding=encoding)
            step = "DATA"
            await smtp.data(written.as_bytes())
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            _hang_up(smtp, smtp.transport)
            raise self._failed(error, step) from error
        finally:
            await _leave(smtp)
        return Receipt(letter.message_id(message, self._sender))

    async def greet(self) -> None:
        """Connect, sign in and leave: whether the relay is there for us. Raises `SendFailed`."""
        smtp = self._client()
        try:
            await smtp.connect()
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            _hang_up(smtp, smtp.transport)
            raise self._failed(error, "CONNECT") from error
        finally:
            await _leave(smtp)

    async def find(self, message: Message) -> Receipt | None:
        """A relay cannot be asked: raises `LookupUnsupported`."""
        raise LookupUnsupported

    async def aclose(self) -> None:
        """Nothing stays open between messages."""

    def _client(self) -> aiosmtplib.SMTP:
        relay = self._relay
        return aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.tls == "implicit",
            start_tls=relay.tls == "starttls",
            tls_context=None if relay.tls == "none" else ssl.create_default_context(),
            local_hostname=self._sender.domain,
            timeout=self._timeout,
        )

    def _failed(self, error: Exception, step: str) -> SendFailed:
        code, said = _answer(error)
        about_login = code in _LOGIN or isinstance(error, aiosmtplib.SMTPAuthenticationError)
        if about_login:
            message = f"The mail relay refuses the login: {code} {said} Check SMTP_URL."
        elif code is not None:
            message = f"The mail relay answered {code} to {step}: {said}"
        else:
            message = f"The mail relay cannot be reached, or broke off at {step}: {said}"
        where = {"service": "smtp", "method": step, "endpoint": f"{self._relay.host}:{self._relay.port}"}
        return SendFailed(
            message.strip(),
            # A relay that turns a connection away may be another one tomorrow; it has not seen the message.
            permanent=step != "CONNECT" and code is not None and 500 <= code < 600 and not about_login,
            delivered_unknown=step == "DATA" and code is None,
            details={"upstream": where | {"status": code}},
        )


async def _leave(smtp: aiosmtplib.SMTP) -> None:
    # The message is handed over or not by now; how the relay takes the farewell changes nothing.
    transport = smtp.transport
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        if smtp.is_connected:
            await smtp.quit(timeout=_QUIT_WITHIN)
    _hang_up(smtp, transport)


def _hang_up(smtp: aiosmtplib.SMTP, transport: asyncio.BaseTransport | None) -> None:
    # A gentle close of TLS keeps the connection for up to half a minute, waiting for the relay to say farewell too.
    smtp.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()


def _answer(error: Exception) -> tuple[int | None, str]:
    """The relay's code, if it gave one, and what it or the system said, in one line."""
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    said = error.message if isinstance(error, aiosmtplib.SMTPException) else str(error)
    return code, " ".join(said.split())[:200] or type(error).__name__
