"""The comparison of an inbox: what Chatwoot has, and what is stored."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class InboxComparison:
    """One inbox: what Chatwoot has, what is stored, and the messages that were missing here or deleted there."""

    inbox_id: int
    theirs: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    removed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as plain dictionaries."""
        return vars(self) | {"theirs": dict(self.theirs), "ours": dict(self.ours)}

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> "InboxComparison":
        """Return the comparison that `as_dict` made."""
        theirs, ours = Counter(stored["theirs"]), Counter(stored["ours"])
        return InboxComparison(stored["inbox_id"], theirs, ours, stored["missing"], stored["removed"])
