"""The journal of received requests, for tests that count them."""

from collections import deque
from dataclasses import dataclass
from fnmatch import fnmatchcase

KEPT = 100_000


@dataclass(slots=True)
class JournalEntry:
    """One request. `at` is the simulator's time; `status` is None without a response."""

    method: str
    path: str
    query: str
    at: float
    ip: str
    status: int | None = None


class Journal:
    """The last 100,000 requests, without those to control routes."""

    def __init__(self) -> None:
        self.entries: deque[JournalEntry] = deque(maxlen=KEPT)

    def write(self, entry: JournalEntry) -> JournalEntry:
        self.entries.append(entry)
        return entry

    def find(self, method: str | None = None, path: str = "*", query: str = "*") -> list[JournalEntry]:
        """Return the entries of this method whose path and query match the shell patterns."""
        return [
            entry
            for entry in list(self.entries)
            if method in (None, entry.method) and fnmatchcase(entry.path, path) and fnmatchcase(entry.query, query)
        ]

    def count(self, method: str | None = None, path: str = "*", query: str = "*") -> int:
        return len(self.find(method, path, query))

    def clear(self) -> None:
        self.entries.clear()
