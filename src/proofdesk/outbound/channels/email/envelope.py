"""An e-mail as SMTP carries it: MAIL, RCPT and DATA, over an open session."""

from dataclasses import dataclass

import aiosmtplib

from proofdesk.outbound.channels.email import replies
from proofdesk.outbound.channels.email.replies import SmtpReply

SMTP_ERRORS = (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError)
"""The errors that the SMTP client raises."""


class StepFailed(Exception):
    """The relay refused a step or fell silent; `reply` is its answer."""

    def __init__(self, reply: SmtpReply):
        super().__init__(reply.text)
        self.reply = reply


class SmtpUtf8Missing(Exception):
    """The relay does not accept non-ASCII addresses (RFC 6531)."""


@dataclass(frozen=True)
class Envelope:
    """Sender and recipient as the relay receives them, and the e-mail with lines that end in CR LF."""

    sender: str
    recipient: str
    content: bytes
    needs_utf8: bool

    async def submit(self, smtp: aiosmtplib.SMTP) -> None:
        """Submit the e-mail to the relay. Raises `StepFailed` or `SmtpUtf8Missing`."""
        if self.needs_utf8 and not smtp.supports_extension("smtputf8"):
            raise SmtpUtf8Missing
        encoding = "utf-8" if self.needs_utf8 else "ascii"
        step = "MAIL"
        try:
            await smtp.mail(self.sender, options=self._options(smtp), encoding=encoding)
            step = "RCPT"
            await smtp.rcpt(self.recipient, encoding=encoding)
            step = "DATA"
            await smtp.data(self.content)  # doubles leading dots (RFC 5321, 4.5.2)
        except SMTP_ERRORS as error:
            raise StepFailed(replies.parse_reply(error, step)) from error

    def _options(self, smtp: aiosmtplib.SMTP) -> list[str]:
        """Return the options of MAIL: the size, and that headers are not ASCII only. Bodies are 7-bit."""
        size = [f"SIZE={len(self.content)}"] if smtp.supports_extension("size") else []
        eight_bit = ["BODY=8BITMIME"] if self.needs_utf8 and smtp.supports_extension("8bitmime") else []
        return [*size, *eight_bit, *(["SMTPUTF8"] if self.needs_utf8 else [])]
