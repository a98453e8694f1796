"""Replies of a mail relay: whether they concern one message or all messages, and whether waiting helps.

Basic codes are those of RFC 5321 (4.2), enhanced status codes those of RFC 3463 ("class.subject.detail"). Quotas that
relays report as permanent are temporary: https://support.google.com/a/answer/3726730 (5.4.5) and Microsoft's
"Email non-delivery report (NDR) and SMTP errors in Exchange Online" (5.1.90, 5.2.3xx, 5.7.2xx, 5.7.7xx).
"""

import re
from dataclasses import dataclass
from enum import Enum

import aiosmtplib

CHECK_LOGIN, CHECK_SENDER = "Check SMTP_URL.", "Check SMTP_FROM."
_STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})\b", re.ASCII)
_QUOTAS = {(4, 5), (1, 90), (7, 232), (7, 233), (7, 705), (7, 708), (7, 709)}
_RELAY_IS_FULL = {(3, 1), (3, 2)}
_SENDER = {(1, 7), (1, 8)}
_LOGIN = {530, 534, 535, 538}
_NO_SUCH_MAILBOX = {(1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)}
"""X.1.1 no such mailbox, X.1.2 no such domain, X.1.3 bad address, X.1.6 moved, X.1.10 null MX, X.2.1 disabled."""
_RECIPIENT_SUBJECTS = {1, 2, 6}  # address, mailbox and content
_QUOTA_WAIT = 900.0
_LOGIN_WAIT = 60.0
_MAX_TEXT_LENGTH = 200


class RefusalScope(Enum):
    """What a refusal concerns."""

    MESSAGE = "message"
    SESSION = "session"
    """The relay accepts no more sessions or logins now, or ended this one."""
    MAYBE_ALL = "maybe_all"
    """A condition of the relay if the next message meets it too. It may be greylisting of one recipient."""
    ALL = "all"
    """Every message would get the same reply now."""


@dataclass(frozen=True)
class SmtpReply:
    """The reply of a relay to a step (CONNECT, AUTH, MAIL, RCPT or DATA). `code` is None without a reply."""

    step: str
    code: int | None
    status: tuple[int, int, int] | None
    text: str


@dataclass(frozen=True)
class ReplyVerdict:
    """What a reply means. `advice` says what a person can do; `min_wait` is in seconds.

    `unreachable`: the mailbox does not exist, so no message will ever arrive.
    """

    scope: RefusalScope
    permanent: bool = False
    delivery_unknown: bool = False
    advice: str = ""
    min_wait: float = 0.0
    unreachable: bool = False


def parse_reply(error: BaseException, step: str) -> SmtpReply:
    """Return the reply in an error of the SMTP client, as one printable line."""
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    text = _printable(error.message if isinstance(error, aiosmtplib.SMTPException) else str(error))
    status = _STATUS.match(text) if code is not None else None
    parsed = None if status is None else (int(status[1]), int(status[2]), int(status[3]))
    return SmtpReply(step, code, parsed, text[:_MAX_TEXT_LENGTH] or type(error).__name__)


def _printable(text: str) -> str:
    """Return a text that can be stored: one line, without control characters and undecodable bytes."""
    decoded = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in decoded).split())


def describe(reply: SmtpReply, verdict: ReplyVerdict) -> str:
    """Return a sentence about a refusal, for people."""
    if reply.code is None:
        sentence = f"The mail relay cannot be reached, or closed the connection at {reply.step}: {reply.text}"
    elif verdict.advice == CHECK_LOGIN:
        sentence = f"The mail relay refuses the login: {reply.code} {reply.text}"
    else:
        sentence = f"The mail relay answered {reply.code} to {reply.step}: {reply.text}"
    return f"{sentence} {verdict.advice}".strip()


def classify(reply: SmtpReply) -> ReplyVerdict:
    """Return what a refusal means for its message and for the following ones."""
    if reply.code is None:
        return _classify_silence(reply.step)
    if reply.code in _LOGIN or (reply.step == "AUTH" and reply.code >= 500):
        return ReplyVerdict(RefusalScope.ALL, advice=CHECK_LOGIN, min_wait=_LOGIN_WAIT)
    if reply.code == 421 or reply.step in ("CONNECT", "AUTH"):
        return ReplyVerdict(RefusalScope.SESSION)
    return _classify_temporary(reply) if _is_temporary(reply) else _classify_permanent(reply)


def _classify_silence(step: str) -> ReplyVerdict:
    if step == "DATA":
        return ReplyVerdict(RefusalScope.MESSAGE, delivery_unknown=True)
    return ReplyVerdict(RefusalScope.SESSION if step in ("CONNECT", "AUTH") else RefusalScope.MAYBE_ALL)


def _is_temporary(reply: SmtpReply) -> bool:
    return (reply.code or 0) < 500 or (reply.status is not None and reply.status[0] == 4)


def _classify_temporary(reply: SmtpReply) -> ReplyVerdict:
    if reply.step == "MAIL":
        return ReplyVerdict(RefusalScope.ALL)
    if reply.status is not None and _is_about_recipient(reply.status[1:]):
        return ReplyVerdict(RefusalScope.MESSAGE)
    return ReplyVerdict(RefusalScope.MAYBE_ALL)


def _is_about_recipient(status: tuple[int, int]) -> bool:
    # 4.2.1 is a rate limit at Gmail ("Peak SMTP relay limit exceeded"); 4.4.1 to 4.4.7 are the recipient's own server.
    return (status[0] in _RECIPIENT_SUBJECTS and status != (2, 1)) or (status[0] == 4 and status[1] not in (0, 2, 5))


def _classify_permanent(reply: SmtpReply) -> ReplyVerdict:
    status = None if reply.status is None else reply.status[1:]
    if status in _QUOTAS:
        return ReplyVerdict(RefusalScope.ALL, min_wait=_QUOTA_WAIT)
    if status in _RELAY_IS_FULL:
        return ReplyVerdict(RefusalScope.ALL)
    if status in _SENDER or (reply.step == "MAIL" and status is not None and status[0] == 7):
        return ReplyVerdict(RefusalScope.ALL, advice=CHECK_SENDER, min_wait=_LOGIN_WAIT)
    return ReplyVerdict(RefusalScope.MESSAGE, permanent=True, unreachable=status in _NO_SUCH_MAILBOX)
