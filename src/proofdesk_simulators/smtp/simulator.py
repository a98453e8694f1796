"""The state and the controls of a simulated relay. `control.py` offers the controls over HTTP.

Limits, as real relays have them:

- sessions at once: Postfix, `smtpd_client_connection_count_limit` (postconf(5)): 421 4.7.0 instead of the banner;
- logins in a time: Gmail, https://support.google.com/a/answer/3726730: 454 4.7.0 "Too many login attempts";
- messages of one session: Exim, `smtp_accept_max_per_connection` (Exim specification, 14): 421 to MAIL, then the end;
- messages in a time: 450 4.7.1 and 452 4.3.1 at Postfix (`smtpd_client_message_rate_limit`, `queue_minfree`), and
  550 5.4.5 "Daily user sending limit exceeded" at Gmail (the page above), which is permanent by its number only.
"""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

KEPT = 20_000
STEPS = ("MAIL", "RCPT", "DATA")
REFUSALS = {
    "later": "451 4.3.0 Try again later",
    "never": "550 5.1.1 No such mailbox",
    "unavailable": "421 4.3.2 Service not available",
    "login": "530 5.7.0 Authentication required",
}
TOO_MANY_SESSIONS = "421 4.7.0 Error: too many connections from 127.0.0.1"
TOO_MANY_LOGINS = "454 4.7.0 Too many login attempts, please try again later."
TOO_MANY_IN_SESSION = "421 Too many messages in this connection"
QUOTAS = {
    "rate": "450 4.7.1 Error: too much mail from 127.0.0.1",
    "storage": "452 4.3.1 Insufficient system storage",
    "plain": "452 Too many messages, try again later",
    "daily": "550 5.4.5 Daily user sending limit exceeded.",
}
CUT, LOST_REPLY, DELAY = "cut", "lost_reply", "delay"
KINDS = (*REFUSALS, CUT, LOST_REPLY, DELAY)


@dataclass
class SmtpFault:
    """Strikes each `every`-th time at `step`, at most `times` times, after `delay` seconds.

    `kind` is a name of the refusals, `cut` (the connection breaks before the relay has the message), `lost_reply` (it
    breaks after, so at DATA) or `delay`. `to` limits it to one recipient, from RCPT on.
    """

    kind: str
    step: str = "DATA"
    every: int = 1
    times: int | None = None
    delay: float = 0.0
    to: str = ""
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.step not in STEPS or self.every < 1:
            raise ValueError(f"a fault has a kind of {', '.join(KINDS)}, a step of {', '.join(STEPS)}, every >= 1")

    def strikes(self, step: str, recipients: list[str]) -> bool:
        """Count this step and return whether the fault applies to it."""
        if self.step != step or (self.to and self.to not in recipients) or self.struck == self.times:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.struck += 1
        return True


@dataclass
class Limits:
    """What the relay accepts; None is unlimited. `logins` and `messages` count within `seconds`.

    A message over the limit is rejected at `step` with one of `QUOTAS`.
    """

    sessions: int | None = None
    logins: int | None = None
    messages_per_session: int | None = None
    messages: int | None = None
    seconds: float = 3600.0
    quota: str = "rate"
    step: str = "MAIL"

    def __post_init__(self) -> None:
        if self.quota not in QUOTAS or self.step not in STEPS:
            raise ValueError(f"limits have a quota of {', '.join(QUOTAS)}, a step of {', '.join(STEPS)}")


@dataclass
class ReceivedMail:
    """A message that the relay accepted, with its envelope and facts about the connection."""

    sender: str
    recipients: list[str]
    raw: bytes
    at: float
    encrypted: bool
    username: str | None

    @property
    def message(self) -> EmailMessage:
        """Return the parsed message."""
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, kind: str) -> str:
        """Return the text of the `plain` or `html` part with `\\n` line ends, or an empty string."""
        found = self.message.get_body((kind,))
        return "" if found is None else str(found.get_content()).replace("\r\n", "\n")


class SmtpSimulator:
    """One relay, safe to use while it serves from another thread. `login` is the required user and password."""

    def __init__(self, login: tuple[str, str] | None = None, *, smtputf8: bool = True) -> None:
        self.login, self.smtputf8 = login, smtputf8
        self.lock = threading.Lock()
        self.open: dict[int, asyncio.Transport] = {}
        self.admitted = 0  # sessions that are open or about to be
        self.reset()

    def reset(self) -> None:
        """Remove all messages, faults and limits."""
        self.received: deque[ReceivedMail] = deque(maxlen=KEPT)
        self.sessions = 0
        self.rejected = 0  # sessions, logins and messages over a limit
        self.faults: list[SmtpFault] = []
        self.limits = Limits()
        self.logins: deque[float] = deque()

    def fail(self, kind: str, **values: object) -> SmtpFault:
        """Add a fault. `values` are its fields. Raises ValueError for an unknown kind."""
        fault = SmtpFault(kind, **values)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def admits_session(self) -> bool:
        """Count a session. Return False if the limit is reached."""
        most = self.limits.sessions
        if most is not None and self.admitted >= most:
            self.rejected += 1
            return False
        self.sessions += 1
        self.admitted += 1
        return True

    def admits_login(self) -> bool:
        """Count a login. Return False if the limit is reached."""
        now, most = time.monotonic(), self.limits.logins
        recent = [at for at in self.logins if at > now - self.limits.seconds]
        if most is not None and len(recent) >= most:
            self.rejected += 1
            return False
        self.logins.append(now)
        return True

    def admits_message(self, before: int) -> bool:
        """Return whether a session with this many messages may send another one."""
        most = self.limits.messages_per_session
        return most is None or before < most

    def over_quota(self, step: str) -> str | None:
        """Return the rejection at this step if the message limit is reached."""
        limits = self.limits
        if limits.messages is None or step != limits.step:
            return None
        with self.lock:
            recent = sum(taken.at > time.time() - limits.seconds for taken in self.received)
        if recent < limits.messages:
            return None
        self.rejected += 1
        return QUOTAS[limits.quota]

    def striking(self, step: str, recipients: list[str]) -> list[SmtpFault]:
        """Return the faults that apply to this step."""
        with self.lock:
            return [fault for fault in self.faults if fault.strikes(step, recipients)]

    def record(self, sender: str, recipients: list[str], raw: bytes, encrypted: bool, username: str | None) -> None:
        """Record a message."""
        with self.lock:
            self.received.append(ReceivedMail(sender, recipients, raw, time.time(), encrypted, username))
