"""Backoff from a channel that asks for a pause, for all messages of one process."""

import time
from dataclasses import dataclass

MAX_HOLD = 5.0
"""Seconds for which a process at most holds back calls itself. A longer wait is stored with the messages, where people
see and change it."""

MAX_WAIT = 24 * 3600.0
"""Seconds that a channel can ask to wait at most; a larger number counts as this."""


def limit_wait(seconds: float) -> float:
    """Return a wait that a channel asks for, within 0 and `MAX_WAIT`. NaN counts as `MAX_WAIT`."""
    if seconds != seconds or seconds >= MAX_WAIT:  # compares integers of any size, which `math.isfinite` cannot
        return MAX_WAIT
    return max(0.0, seconds)


@dataclass(frozen=True)
class ChannelPause:
    """A wait that a channel asks for. `resume_at` and `hold_until` are of `time.monotonic`.

    `all_workers`: every worker must wait, as for a daily quota, and not only this process, as for a limit of sessions.
    """

    reason: str
    resume_at: float
    hold_until: float
    all_workers: bool

    @property
    def wait(self) -> float:
        """Seconds until the channel may be called again."""
        return max(0.0, self.resume_at - time.monotonic())

    @property
    def hold(self) -> float:
        """Seconds for which this process makes no call."""
        return max(0.0, self.hold_until - time.monotonic())


class ChannelBackoff:
    """Waits that double with each refusal in a row, from `first` up to `longest` seconds."""

    def __init__(self, first: float = 1.0, longest: float = 3600.0):
        self._first, self._longest = first, longest
        self._refusals = 0
        self._refused_at = 0.0
        self._pause: ChannelPause | None = None

    @property
    def pause(self) -> ChannelPause | None:
        """The present wait; None without one."""
        return self._pause if self._pause is not None and self._pause.wait > 0 else None

    def record_refusal(
        self, reason: str, started: float, *, at_least: float = 0.0, all_workers: bool = False
    ) -> ChannelPause:
        """Record a refused call that started at `started` (of `time.monotonic`), and return the wait.

        Calls that were running when a wait began count as one refusal with it.
        """
        at_least = limit_wait(at_least)
        current = self.pause
        if current is not None and started < self._refused_at and current.wait >= at_least:
            return current
        self._refusals += 1
        self._refused_at = time.monotonic()
        wait = max(at_least, min(self._first * 2 ** min(self._refusals - 1, 30), self._longest))
        self._pause = ChannelPause(reason, self._refused_at + wait, self._refused_at + min(wait, MAX_HOLD), all_workers)
        return self._pause

    def record_success(self) -> None:
        """Record an accepted call: the next wait is short again."""
        self._refusals, self._pause = 0, None
