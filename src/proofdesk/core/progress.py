"""How long-running work tells how far it is."""

from collections.abc import Awaitable, Callable

ReportProgress = Callable[[int, int | None, str], None]
"""Called with what is done, the total where it is known, and the unit in the plural. Must not block."""


def ignore_progress(done: int, total: int | None, unit: str) -> None:
    """Report to nobody."""


ShouldStop = Callable[[], Awaitable[bool]]
"""Asked between batches or pages, where everything is stored: whether to leave off, for a later run to go on."""


async def never_stop() -> bool:
    """Go on to the end."""
    return False


def is_power_of_two(number: int) -> bool:
    """Whether a growing number is twice what it was when this held last: at 2, 4, 8 and so on."""
    return number > 1 and number & (number - 1) == 0
