"""How long-running work tells how far it is."""

from collections.abc import Callable

Report = Callable[[int, int | None, str], None]
"""Called with what is done, the total where it is known, and the unit in the plural. Must not block."""


def silent(done: int, total: int | None, unit: str) -> None:
    """Report to nobody."""
