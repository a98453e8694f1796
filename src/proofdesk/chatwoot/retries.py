"""How the client spaces its requests: an even rate, and a pause when Chatwoot throttles (C-12)."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta

WINDOW_SECONDS = 60.0
_JITTER = 1 / 12  # of the window: with many workers, this much of the next window passes before all of them are back


class ServerClock:
    """The clock of the server, known from its last response; the local clock before that."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the time there, in UTC."""
        return datetime.now(UTC) + self._offset

    def set(self, server_time: datetime) -> None:
        """Note the time of a response that has just arrived."""
        self._offset = server_time - datetime.now(UTC)


class RateLimit:
    """At most `per_minute` requests a minute, evenly spaced."""

    def __init__(self, per_minute: int):
        self._spacing = 60 / per_minute
        self._next = time.monotonic()

    async def wait(self) -> None:
        """Return when the next request may be sent."""
        at = max(self._next, time.monotonic())
        self._next = at + self._spacing
        await asyncio.sleep(at - time.monotonic())


class Throttle:
    """Until when Chatwoot refuses requests. Its windows end at multiples of `window` seconds of its clock.

    The copies of a client share one: after one refusal no other request is sent before the window ends. Each request
    waits a random moment longer, so that neither the requests of one worker nor several workers return at once.
    """

    def __init__(self, clock: ServerClock, window: float = WINDOW_SECONDS):
        self._clock, self._window = clock, window
        self._ends_at = 0.0

    def close_window(self) -> float:
        """Note that a request was refused; return the seconds to wait before it is repeated."""
        now = self._clock.now().timestamp()
        self._ends_at = (now // self._window + 1) * self._window
        return self._ends_at - now + self._jitter()

    async def wait(self, at_most: float) -> None:
        """Return when requests are accepted again, or at once if that takes longer than `at_most` seconds."""
        left = self._ends_at - self._clock.now().timestamp()
        if 0 < left <= at_most:
            await asyncio.sleep(left + self._jitter())

    def _jitter(self) -> float:
        return random.uniform(0, self._window * _JITTER)  # noqa: S311, no secret


def with_jitter(seconds: float) -> float:
    """Return a wait that a server asked for, up to a tenth longer."""
    return seconds * random.uniform(1, 1.1)  # noqa: S311, no secret
