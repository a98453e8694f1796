"""Steps that must not be cancelled halfway, and work that runs concurrently."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from proofdesk.errors import ProofdeskError

T = TypeVar("T")


async def run_to_completion(step: Coroutine[Any, Any, T]) -> T:
    """Complete a short step even if this task is cancelled: a claim must not be stored without its owner knowing."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def run_concurrently(work: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
    """Run `number` instances of the work concurrently until all have ended.

    The first failure cancels the others and is raised; of several failures, one that Proofdesk raised on purpose.
    """
    task = asyncio.current_task()
    assert task is not None
    cancelling = task.cancelling()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        # A group whose task fails while it is waited for leaves its own cancellation behind (CPython 3.11), and a later
        # `asyncio.timeout` of this task would raise `CancelledError` instead of `TimeoutError` (CPython 3.11.2).
        while task.cancelling() > cancelling:
            task.uncancel()
        raise _first_cause(failures) from None


def _first_cause(failures: BaseExceptionGroup) -> BaseException:
    expected = failures.subgroup(ProofdeskError)
    group = expected or failures
    first = group.exceptions[0]
    return _first_cause(first) if isinstance(first, BaseExceptionGroup) else first
