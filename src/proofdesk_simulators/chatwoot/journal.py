"""The requests an application received, for tests that count them."""

from collections import deque
from dataclasses import dataclass
from fnmatch import fnmatchcase

KEPT = 100_000


@dataclass(slots=True)
class JournalEntry:
    """One request; `at` is the time of the simulator, `status` stays None when nothing was answered."""

    method: str
    path: str
    query: str
    at: float
    ip: str
    status: int | None = None


class Journal:
    """Keeps the last 100,000 requests; those to the control routes are not written."""

    def __init__(self) -> None:
        self.entries: deque[JournalEntry] = deque(maxlen=KEPT)

    def write(self, entry: JournalEntry) -> JournalEntry:
        self.entries.append(entry)
        return entry

    def find(self, method: str | None = None, path: str = "*", query: str = "*") -> list[JournalEntry]:
        """Entries of this method whose path and query match the shell patterns."""
        return [
            entry
            for entry in list(self.entries)
            if method in (None, entry.method) and fnmatchcase(entry.path, path) and fnmatchcase(entry.query, query)
        ]

    def count(self, method: str | None = None, path: str = "*", query: str = "*") -> int:
        return len(self.find(method, path, query))

    def clear(self) -> None:
        self.entries.clear()
