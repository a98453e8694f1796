"""How long-running work reports progress and is asked to stop."""

from collections.abc import Awaitable, Callable

ReportProgress = Callable[[int, int | None, str], None]
"""Called with the number done, the total if it is known, and the unit in the plural. It must not block."""


def ignore_progress(done: int, total: int | None, unit: str) -> None:
    """Ignore the report."""


ShouldStop = Callable[[], Awaitable[bool]]
"""Called between batches or pages, where everything is stored: whether to stop, so that a later run continues."""


async def never_stop() -> bool:
    """Continue to the end."""
    return False


def is_power_of_two(number: int) -> bool:
    """Return whether a number is 2, 4, 8 and so on: for work that is due whenever an amount has doubled."""
    return number > 1 and number & (number - 1) == 0
