"""Steps that must not stop halfway, and steps that go on side by side."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from proofdesk.errors import ProofdeskError

T = TypeVar("T")


async def run_to_completion(step: Coroutine[Any, Any, T]) -> T:
    """Let a short step end although this task is cancelled meanwhile: else a claim could be made and not known."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def run_concurrently(work: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
    """Do so many of the same work at once, to the end of all.

    One that fails stops the others, and what it raised is raised here; of several that one which has a code of ours.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise _first_cause(failures) from None


def _first_cause(failures: BaseExceptionGroup) -> BaseException:
    expected = failures.subgroup(ProofdeskError)
    group = expected or failures
    first = group.exceptions[0]
    return _first_cause(first) if isinstance(first, BaseExceptionGroup) else first
