"""Reading the messages of a conversation by complete windows of ids (C-08).

`after=A&before=B` selects `A <= id < B` by id, but orders by time of creation and cuts at 1,000. An answer with fewer
rows is the whole window, whatever the order of the times. A full answer proves nothing, and the window is split by id.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from proofdesk.chatwoot import parsing

MAX_ROWS = 1000  # of one answer
MAX_ID = 2**63 - 1  # above every message id; Chatwoot compares it as a number of any size
OVERLAP = 30  # C-10: ids become visible out of order, so a later reading starts thirty messages below the last one
MAX_FAILURES = 70  # windows of one conversation that fail before its reading is given up
MAX_SKIPS = 5  # the same for single messages
_TARGET_ROWS = 900  # that a window should hold where the density of the ids is known
_FIRST_GUESS = 1000  # ids, where nothing is known about the density


class UnsplittableWindow(Exception):
    """A window cannot be made smaller: its full answer names fewer than two ids, or too many parts failed."""


@dataclass(frozen=True)
class MessageWindow:
    """Message ids from `first` to below `end`.

    `step` is how far one request should reach (0: to the end). `settled` means that a cut at the edge of a full answer
    made this part: if it is full too, times and ids are mixed, and it is cut in the middle.
    """

    first: int
    end: int = MAX_ID
    step: int = 0
    settled: bool = False

    def split(self, ids: list[int]) -> list["MessageWindow"]:
        """Return the parts of a window whose answer was full, lowest first. `ids` are in the order of the answer.

        Where ids and times run the same way, or wholly against each other, the answer is a run at one end of the
        window, and is cut off whole. Otherwise the middle of the answer leaves many rows on both sides.
        """
        ordered = sorted(set(ids))
        if len(ordered) < 2:
            raise UnsplittableWindow
        rising = sum(a < b for a, b in pairwise(ids)) / (len(ids) - 1)
        if not self.settled and rising > 0.9:
            step = max(1, (ordered[-1] - ordered[0]) * _TARGET_ROWS // len(ordered))
            return [
                MessageWindow(self.first, ordered[-1], settled=True),
                MessageWindow(ordered[-1], self.end, step),
            ]
        if not self.settled and rising < 0.1:
            return [
                MessageWindow(self.first, ordered[0] + 1),
                MessageWindow(ordered[0] + 1, self.end, settled=True),
            ]
        middle = ordered[len(ordered) // 2]
        return [MessageWindow(self.first, middle, settled=True), MessageWindow(middle, self.end, settled=True)]

    def halve(self, known_id: int) -> list["MessageWindow"]:
        """Return two parts of a window that cannot be read; one that ends above `known_id` is cut there first.

        Raises `UnsplittableWindow` for a window of one id.
        """
        if self.end - self.first <= 1:
            raise UnsplittableWindow
        likely_end = known_id + 1 if known_id >= self.first else self.first * 2 + _FIRST_GUESS
        middle = likely_end if likely_end < self.end else (self.first + self.end) // 2
        return [MessageWindow(self.first, middle, settled=True), MessageWindow(middle, self.end, settled=True)]


@dataclass(frozen=True)
class ConversationReading:
    """How far one conversation is read: the windows that remain, lowest first, and what the complete ones held.

    `known_id` is an id up to which there certainly are messages, `newest_id` the one that the list named. `read_mark`
    is stored at the end; None leaves cursor and mark unchanged.
    """

    conversation_id: int
    start: int = 0
    known_id: int = 0
    newest_id: int = 0
    read_mark: str | None = None
    remaining: tuple[MessageWindow, ...] = ()
    tail: tuple[int, ...] = ()  # the greatest ids of complete windows, ascending
    present: set[int] = field(default_factory=set[int])  # all ids of complete windows; shared by later readings
    failures: int = 0
    skips: int = 0

    @staticmethod
    def starting_at(
        conversation_id: int, start: int, known_id: int, newest_id: int = 0, read_mark: str | None = None
    ) -> "ConversationReading":
        """Return the reading of everything from the id `start` on."""
        remaining = (MessageWindow(start),)
        return ConversationReading(conversation_id, start, max(known_id, newest_id), newest_id, read_mark, remaining)

    @property
    def finished(self) -> bool:
        """Whether every window is complete."""
        return not self.remaining

    @property
    def misses_newest(self) -> bool:
        """Whether the list named a message that these windows should have held, and did not."""
        return self.finished and self.newest_id >= max(self.start, 1) and self.newest_id not in self.present

    @property
    def is_single(self) -> bool:
        """Whether the window to request next is one id."""
        return self.window.end - self.window.first == 1

    @property
    def cursor(self) -> int:
        """The id at which a later reading has to start."""
        return self.tail[0] if len(self.tail) == OVERLAP else self.start

    @property
    def window(self) -> MessageWindow:
        """The window to request next."""
        window = self.remaining[0]
        reach = window.first + window.step
        return replace(window, end=reach) if window.step and reach < min(self.known_id, window.end) else window

    def after_page(self, page: list[Any]) -> "ConversationReading":
        """Return the reading after the answer to its `window`. Raises `UnsplittableWindow`."""
        window = self.window
        ids = [i for i in parsing.ordered_item_ids(page) if window.first <= i < window.end]
        if len(page) >= MAX_ROWS:
            return replace(self, remaining=(*window.split(ids), *self._rest(len(page))))
        self.present.update(ids)
        tail = tuple(sorted({*self.tail, *ids})[-OVERLAP:])
        return replace(self, remaining=self._rest(len(page)), tail=tail)

    def after_failure(self) -> "ConversationReading":
        """Return the reading after its `window` failed as too large: it is read in halves.

        Raises `UnsplittableWindow` when the window is one id, or when too many windows have failed.
        """
        if self.failures >= MAX_FAILURES:
            raise UnsplittableWindow
        halves = self.window.halve(self.known_id)
        return replace(self, remaining=(*halves, *self._rest(MAX_ROWS)), failures=self.failures + 1)

    def after_skip(self) -> "ConversationReading":
        """Return the reading without its `window`, a single id that cannot be read. It counts as present (C-42).

        Raises `UnsplittableWindow` when too many were skipped.
        """
        if self.skips >= MAX_SKIPS:
            raise UnsplittableWindow
        self.present.add(self.window.first)
        return replace(self, remaining=self._rest(MAX_ROWS), skips=self.skips + 1)

    def _rest(self, rows: int) -> tuple[MessageWindow, ...]:
        """Return what remains after the current window, which held so many rows."""
        window, whole = self.window, self.remaining[0]
        if window.end == whole.end:
            return self.remaining[1:]
        return (replace(whole, first=window.end, step=_next_step(window.step, rows)), *self.remaining[1:])


def _next_step(step: int, rows: int) -> int:
    return max(1, min(step * 4, step * _TARGET_ROWS // max(rows, 1)))  # a full answer is no count: it shrinks a little


def find_gaps(absent: list[int], present: set[int]) -> list[MessageWindow]:
    """Return windows that hold the absent ids and none of the present ones, so that each should be empty."""
    windows: list[MessageWindow] = []
    present_ids = sorted(present)
    at = 0
    for number in sorted(absent):
        passed = at
        while at < len(present_ids) and present_ids[at] < number:
            at += 1
        if windows and passed == at:
            windows[-1] = replace(windows[-1], end=number + 1)
        else:
            windows.append(MessageWindow(number, number + 1))
    return windows
