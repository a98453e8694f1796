"""Reading the messages of a conversation by complete windows of ids (C-08).

`after=A&before=B` selects `A <= id < B` by id, but orders by time of creation and cuts at 1,000. An answer with fewer
rows is therefore the whole window, whatever the order of the times; a full one proves nothing and is split by id.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from proofdesk.chatwoot import parsing

MAX_ROWS = 1000  # rows that Chatwoot answers at most
MAX_ID = 2**63 - 1  # above every message id; Chatwoot compares it as a number of any size
OVERLAP = 30  # C-10: ids become visible out of order, so reading resumes thirty messages below the last one
_TARGET_ROWS = 900  # rows that a window should hold where the density of the ids is known


class UnsplittableWindow(Exception):
    """A full answer names fewer than two message ids, so there is nothing to split it by."""


@dataclass(frozen=True)
class MessageWindow:
    """Message ids from `first` to below `end`.

    `step` is how far one request should reach (0: to the end). `settled` says that a cut at the edge of what was seen
    made this part: if it is full all the same, times and ids are mixed, and it is cut in the middle.
    """

    first: int
    end: int = MAX_ID
    step: int = 0
    settled: bool = False

    def split(self, ids: list[int]) -> list["MessageWindow"]:
        """The parts of a window whose answer was full, lowest first. `ids` are in the order of the answer.

        Where ids and times run the same way, or wholly against each other, the answer is a run at one end of the
        window, and is cut off whole. Otherwise the middle of what was seen leaves many rows on both sides.
        """
        seen = sorted(set(ids))
        if len(seen) < 2:
            raise UnsplittableWindow
        rising = sum(a < b for a, b in pairwise(ids)) / (len(ids) - 1)
        if not self.settled and rising > 0.9:
            step = max(1, (seen[-1] - seen[0]) * _TARGET_ROWS // len(seen))
            return [MessageWindow(self.first, seen[-1], settled=True), MessageWindow(seen[-1], self.end, step)]
        if not self.settled and rising < 0.1:
            return [MessageWindow(self.first, seen[0] + 1), MessageWindow(seen[0] + 1, self.end, settled=True)]
        middle = seen[len(seen) // 2]
        return [MessageWindow(self.first, middle, settled=True), MessageWindow(middle, self.end, settled=True)]


@dataclass(frozen=True)
class ConversationReading:
    """How far one conversation is read: the windows that are left, lowest first, and what the complete ones held.

    `known_id` is an id up to which there are messages for certain; `newest_id` the one that the list named. `mark` is
    stored at the end; None leaves cursor and mark alone.
    """

    conversation_id: int
    start: int = 0
    known_id: int = 0
    newest_id: int = 0
    read_mark: str | None = None
    remaining: tuple[MessageWindow, ...] = ()
    tail: tuple[int, ...] = ()  # the greatest ids of complete windows, ascending
    present: set[int] = field(default_factory=set[int])  # all ids of complete windows; shared by later readings

    @staticmethod
    def starting_at(
        conversation_id: int, start: int, known_id: int, newest_id: int = 0, read_mark: str | None = None
    ) -> "ConversationReading":
        """A reading of everything from the id `start` on."""
        remaining = (MessageWindow(start),)
        return ConversationReading(conversation_id, start, max(known_id, newest_id), newest_id, read_mark, remaining)

    @property
    def finished(self) -> bool:
        """Whether every window is complete."""
        return not self.remaining

    @property
    def misses_newest(self) -> bool:
        """Whether the list named a message that should have been in these windows, and was not."""
        return self.finished and self.newest_id >= max(self.start, 1) and self.newest_id not in self.present

    @property
    def cursor(self) -> int:
        """The id from which a later reading has to start."""
        return self.tail[0] if len(self.tail) == OVERLAP else self.start

    @property
    def window(self) -> MessageWindow:
        """What to ask for next."""
        window = self.remaining[0]
        reach = window.first + window.step
        return replace(window, end=reach) if window.step and reach < min(self.known_id, window.end) else window

    def after_page(self, page: list[Any]) -> "ConversationReading":
        """The reading after the answer to its `window`. Raises `UnsplittableWindow`."""
        window, ids = (
            self.window,
            [i for i in parsing.ordered_item_ids(page) if self.window.first <= i < self.window.end],
        )
        rest = self.remaining[1:]
        if window.end < self.remaining[0].end:
            rest = (replace(self.remaining[0], first=window.end, step=_next_step(window.step, len(page))), *rest)
        if len(page) >= MAX_ROWS:
            return replace(self, left=(*window.split(ids), *rest))
        self.present.update(ids)
        return replace(self, left=rest, tail=tuple(sorted({*self.tail, *ids})[-OVERLAP:]))


def _next_step(step: int, rows: int) -> int:
    return max(1, min(step * 4, step * _TARGET_ROWS // max(rows, 1)))  # a full answer is no count: it shrinks a little


def find_gaps(absent: list[int], present: set[int]) -> list[MessageWindow]:
    """Windows that hold the absent ids and none of the present ones, so that each should be empty."""
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
