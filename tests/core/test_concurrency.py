"""Concurrent work: the first failure stops the rest, and leaves nothing behind in the task that waited."""

import asyncio

import pytest

from proofdesk.core.concurrency import run_concurrently
from proofdesk.errors import Unavailable


async def test_first_failure_cancels_the_others_and_is_raised():
    cancelled: list[int] = []
    numbers = iter(range(3))

    async def work() -> None:
        number = next(numbers)
        if number == 1:
            await asyncio.sleep(0.01)
            raise Unavailable("The provider is down.")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(Unavailable, match="down"):
        await run_concurrently(work, 3)
    assert sorted(cancelled) == [0, 2]


async def test_failure_leaves_no_cancellation_in_the_task():
    async def work() -> None:
        await asyncio.sleep(0.01)
        raise Unavailable("The provider is down.")

    with pytest.raises(Unavailable):
        await run_concurrently(work, 2)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
