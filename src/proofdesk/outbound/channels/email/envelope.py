"""One letter as SMTP carries it: MAIL, RCPT and DATA, over a session that is open."""

from dataclasses import dataclass

import aiosmtplib

from proofdesk.outbound.channels.email import replies
from proofdesk.outbound.channels.email.replies import SmtpReply

FAILURES = (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError)
"""What the SMTP client raises."""


class StepFailed(Exception):
    """The relay refused a step or fell silent; `reply` is what it said."""

    def __init__(self, reply: SmtpReply):
        super().__init__(reply.text)
        self.reply = reply


class SmtpUtf8Missing(Exception):
    """The relay does not take addresses beyond ASCII (RFC 6531)."""


@dataclass(frozen=True)
class Envelope:
    """Sender and recipient as the relay gets them, and the letter with its lines ended by CR LF."""

    sender: str
    recipient: str
    content: bytes
    in_utf8: bool

    async def submit(self, smtp: aiosmtplib.SMTP) -> None:
        """Have the relay take the letter. Raises `StepFailed` or `SmtpUtf8Missing`."""
        if self.in_utf8 and not smtp.supports_extension("smtputf8"):
            raise SmtpUtf8Missing
        encoding = "utf-8" if self.in_utf8 else "ascii"
        step = "MAIL"
        try:
            await smtp.mail(self.sender, options=self._options(smtp), encoding=encoding)
            step = "RCPT"
            await smtp.rcpt(self.recipient, encoding=encoding)
            step = "DATA"
            await smtp.data(self.content)  # doubles leading dots (RFC 5321, 4.5.2)
        except FAILURES as error:
            raise StepFailed(replies.parse_reply(error, step)) from error

    def _options(self, smtp: aiosmtplib.SMTP) -> list[str]:
        """What is to be told with MAIL: the size, and that the headers are more than ASCII. Bodies are in 7 bits."""
        size = [f"SIZE={len(self.content)}"] if smtp.supports_extension("size") else []
        eight_bit = ["BODY=8BITMIME"] if self.in_utf8 and smtp.supports_extension("8bitmime") else []
        return [*size, *eight_bit, *(["SMTPUTF8"] if self.in_utf8 else [])]
