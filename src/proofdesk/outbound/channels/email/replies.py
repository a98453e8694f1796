"""Replies of a mail relay: whether they concern one message or all of them, and whether time helps.

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
_NOT_THE_RELAY = {1, 2, 6}  # subjects of address, mailbox and content
_QUOTA_WAIT = 900.0
_LOGIN_WAIT = 60.0


class RefusalScope(Enum):
    """What a refusal concerns."""

    MESSAGE = "message"
    SESSION = "session"
    """The relay takes no more sessions or logins now, or ended this one."""
    MAYBE_ALL = "maybe_all"
    """A condition of the relay if the next message meets it too, as it may be greylisting of one recipient."""
    ALL = "all"
    """Every message would get the same answer now."""


@dataclass(frozen=True)
class SmtpReply:
    """What a relay answered to a step (CONNECT, AUTH, MAIL, RCPT or DATA). `code` is None when it did not answer."""

    step: str
    code: int | None
    status: tuple[int, int, int] | None
    text: str


@dataclass(frozen=True)
class ReplyVerdict:
    """What a reply means. `advice` says what a person can do; `at_least` is in seconds."""

    scope: RefusalScope
    permanent: bool = False
    delivery_unknown: bool = False
    advice: str = ""
    min_wait: float = 0.0


def parse_reply(error: BaseException, step: str) -> SmtpReply:
    """Return the reply in an error of the SMTP client, in one line."""
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    said = error.message if isinstance(error, aiosmtplib.SMTPException) else str(error)
    status = _STATUS.match(said) if code is not None else None
    parsed = None if status is None else (int(status[1]), int(status[2]), int(status[3]))
    return SmtpReply(step, code, parsed, " ".join(said.split())[:200] or type(error).__name__)


def describe(reply: SmtpReply, verdict: ReplyVerdict) -> str:
    """Return the sentence that people read about a refusal."""
    if reply.code is None:
        said = f"The mail relay cannot be reached, or broke off at {reply.step}: {reply.text}"
    elif verdict.advice == CHECK_LOGIN:
        said = f"The mail relay refuses the login: {reply.code} {reply.text}"
    else:
        said = f"The mail relay answered {reply.code} to {reply.step}: {reply.text}"
    return f"{said} {verdict.advice}".strip()


def classify(reply: SmtpReply) -> ReplyVerdict:
    """Return what a refusal means for the message and for those that follow."""
    if reply.code is None:
        return _silence(reply.step)
    if reply.code in _LOGIN or (reply.step == "AUTH" and reply.code >= 500):
        return ReplyVerdict(RefusalScope.ALL, advice=CHECK_LOGIN, min_wait=_LOGIN_WAIT)
    if reply.code == 421 or reply.step in ("CONNECT", "AUTH"):
        return ReplyVerdict(RefusalScope.SESSION)
    return _temporary(reply) if _is_temporary(reply) else _permanent(reply)


def _silence(step: str) -> ReplyVerdict:
    if step == "DATA":
        return ReplyVerdict(RefusalScope.MESSAGE, delivery_unknown=True)
    return ReplyVerdict(RefusalScope.SESSION if step in ("CONNECT", "AUTH") else RefusalScope.MAYBE_ALL)


def _is_temporary(reply: SmtpReply) -> bool:
    return (reply.code or 0) < 500 or (reply.status is not None and reply.status[0] == 4)


def _temporary(reply: SmtpReply) -> ReplyVerdict:
    if reply.step == "MAIL":
        return ReplyVerdict(RefusalScope.ALL)
    if reply.status is not None and _is_about_recipient(reply.status[1:]):
        return ReplyVerdict(RefusalScope.MESSAGE)
    return ReplyVerdict(RefusalScope.MAYBE_ALL)


def _is_about_recipient(status: tuple[int, int]) -> bool:
    # 4.2.1 is a rate limit at Gmail ("Peak SMTP relay limit exceeded"); 4.4.1 to 4.4.7 are the recipient's own server.
    return (status[0] in _NOT_THE_RELAY and status != (2, 1)) or (status[0] == 4 and status[1] not in (0, 2, 5))


def _permanent(reply: SmtpReply) -> ReplyVerdict:
    status = None if reply.status is None else reply.status[1:]
    if status in _QUOTAS:
        return ReplyVerdict(RefusalScope.ALL, min_wait=_QUOTA_WAIT)
    if status in _RELAY_IS_FULL:
        return ReplyVerdict(RefusalScope.ALL)
    if status in _SENDER or (reply.step == "MAIL" and status is not None and status[0] == 7):
        return ReplyVerdict(RefusalScope.ALL, advice=CHECK_SENDER, min_wait=_LOGIN_WAIT)
    return ReplyVerdict(RefusalScope.MESSAGE, permanent=True)
