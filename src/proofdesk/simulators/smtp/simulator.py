"""The controls of a simulated relay, for tests in Python. `control.py` offers the same over HTTP."""

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
CUT, LOST_REPLY, DELAY = "cut", "lost_reply", "delay"
KINDS = (*REFUSALS, CUT, LOST_REPLY, DELAY)


@dataclass
class Fault:
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
        """Count this, and say whether the fault applies to it."""
        if self.step != step or (self.to and self.to not in recipients) or self.struck == self.times:
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.struck += 1
        return True


@dataclass
class Taken:
    """A message that the relay has: what it would deliver, and over which connection it came."""

    sender: str
    recipients: list[str]
    raw: bytes
    at: float
    encrypted: bool
    username: str | None

    @property
    def letter(self) -> EmailMessage:
        """The message, parsed."""
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, kind: str) -> str:
        """The text of the `plain` or `html` part, its lines ended as Python does; empty when there is none."""
        found = self.letter.get_body((kind,))
        return "" if found is None else str(found.get_content()).replace("\r\n", "\n")


class Simulator:
    """One relay. May be used while it serves from another thread. `login`: the user and password it asks for."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.login = login
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Nothing taken, no faults."""
        self.taken: deque[Taken] = deque(maxlen=KEPT)
        self.sessions = 0
        self.faults: list[Fault] = []

    def fail(self, kind: str, **values: object) -> Fault:
        """Add a fault; `values` as in `Fault`. Raises ValueError for one that is none."""
        fault = Fault(kind, **values)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def striking(self, step: str, recipients: list[str]) -> list[Fault]:
        """The faults that apply here and now."""
        with self.lock:
            return [fault for fault in self.faults if fault.strikes(step, recipients)]

    def take(self, sender: str, recipients: list[str], raw: bytes, encrypted: bool, username: str | None) -> None:
        """Record a message."""
        with self.lock:
            self.taken.append(Taken(sender, recipients, raw, time.time(), encrypted, username))
