"""Changes that happen while a client reads the pages of a list."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

LISTS = "*/conversations"


@dataclass(slots=True)
class Shift:
    """Runs `action` after each `every`-th GET whose path matches, at most `times` times."""

    id: int
    action: Callable[[], object]
    every: int = 1
    path: str = LISTS
    times: int | None = None
    seen: int = 0
    done: int = 0

    def due(self, method: str, path: str) -> bool:
        if method != "GET" or not fnmatchcase(path, self.path) or self.done == self.times:
            return False
        self.seen += 1
        return self.seen % self.every == 0


class Shifts:
    """The active shifts, in the order they were added."""

    def __init__(self) -> None:
        self.rows: list[Shift] = []
        self._next_id = 1

    def add(
        self, action: Callable[[], object], *, every: int = 1, path: str = LISTS, times: int | None = None
    ) -> Shift:
        shift = Shift(self._next_id, action, every, path, times)
        self._next_id += 1
        self.rows.append(shift)
        return shift

    def clear(self) -> None:
        self.rows = []

    def after(self, method: str, path: str) -> None:
        for shift in self.rows:
            if shift.due(method, path):
                shift.done += 1
                shift.action()
