"""Backoff from a provider that asks to be left alone, for all messages of one process."""

import time
from dataclasses import dataclass

MAX_HOLD = 5.0
"""Longest time, in seconds, for which a process holds back calls by itself. A longer wait is stored with the messages,
where people see and change it."""


@dataclass(frozen=True)
class ChannelPause:
    """A wait that a provider asked for. `resume_at` and `hold_until` are of `time.monotonic`.

    `everywhere`: every worker has to wait, as for a daily quota, and not only this process, as for a limit of sessions.
    """

    reason: str
    resume_at: float
    hold_until: float
    all_workers: bool

    @property
    def wait(self) -> float:
        """Seconds until the provider may be called again."""
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
        self._since = 0.0
        self._pause: ChannelPause | None = None

    @property
    def pause(self) -> ChannelPause | None:
        """The wait that is not over yet, None without one."""
        return self._pause if self._pause is not None and self._pause.wait > 0 else None

    def record_refusal(
        self, reason: str, began: float, *, at_least: float = 0.0, everywhere: bool = False
    ) -> ChannelPause:
        """Note a refusal of a call that began then (of `time.monotonic`); return the wait.

        Calls that were under way when a wait began count as one refusal with it.
        """
        current = self.pause
        if current is not None and began < self._since and current.wait >= at_least:
            return current
        self._refusals += 1
        self._since = time.monotonic()
        wait = max(at_least, min(self._first * 2 ** (self._refusals - 1), self._longest))
        self._pause = ChannelPause(reason, self._since + wait, self._since + min(wait, MAX_HOLD), everywhere)
        return self._pause

    def record_success(self) -> None:
        """Note that a call was taken: the next wait is short again."""
        self._refusals, self._pause = 0, None
