"""Faults: responses in place of the application's, and responses lost after it ran."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from proofdesk_simulators.broken import CUT, HALF, TRICKLE
from proofdesk_simulators.chatwoot.refusals import CATALOGUE

LOST_REPLY, DELAY = "lost_reply", "delay"
KINDS = (*CATALOGUE, CUT, HALF, TRICKLE, LOST_REPLY, DELAY)


@dataclass(slots=True)
class ChatwootFault:
    """Applies to each `every`-th matching request, at most `times` times, after `skip` matching ones.

    `kind` is a key of the catalogue, `cut` (the connection breaks before the application runs), `half` (it breaks in
    the middle of the response), `trickle` (blanks without an end), `lost_reply` (it breaks after the application stored
    its rows) or `delay`. `path` is a shell pattern. `delay` seconds pass first, whatever the kind. `retry_after` adds
    the header that a proxy may set; Chatwoot itself never does.
    """

    id: int
    kind: str
    every: int = 1
    method: str | None = None
    path: str = "*"
    times: int | None = None
    skip: int = 0
    delay: float = 0.0
    retry_after: int | None = None
    seen: int = 0
    struck: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Count this request and return whether the fault applies to it."""
        if self.method not in (None, method) or not fnmatchcase(path, self.path):
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.seen - self.skip) % self.every:
            return False
        self.struck += 1
        return True


class Faults:
    """The active faults. Several may apply to one request."""

    def __init__(self) -> None:
        self.rows: list[ChatwootFault] = []
        self._next_id = 1

    def add(
        self,
        kind: str,
        *,
        every: int = 1,
        method: str | None = None,
        path: str = "*",
        times: int | None = None,
        skip: int = 0,
        delay: float = 0.0,
        retry_after: int | None = None,
    ) -> ChatwootFault:
        """Add a fault. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"Unknown kind of fault {kind!r}. Use one of: {', '.join(KINDS)}")
        if every < 1:
            raise ValueError("`every` must be at least 1.")
        fault = ChatwootFault(self._next_id, kind, every, method, path, times, skip, delay, retry_after)
        self._next_id += 1
        self.rows.append(fault)
        return fault

    def remove(self, fault_id: int) -> None:
        self.rows = [fault for fault in self.rows if fault.id != fault_id]

    def clear(self) -> None:
        self.rows = []

    def striking(self, method: str, path: str) -> list[ChatwootFault]:
        return [fault for fault in self.rows if fault.strikes(method, path)]
