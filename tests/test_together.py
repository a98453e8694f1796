"""Asking once for all who ask the same at the same time."""

import asyncio

import pytest

from proofdesk.together import Together


class Source:
    """Something slow to ask: it counts how often it is, and answers with the number."""

    def __init__(self) -> None:
        self.asked = 0
        self.begun = asyncio.Condition()
        self.go_on = asyncio.Event()

    async def __call__(self) -> int:
        async with self.begun:
            self.asked += 1
            number = self.asked
            self.begun.notify_all()
        await self.go_on.wait()
        return number


async def _begun(source: Source, times: int) -> None:
    async with source.begun:
        await asyncio.wait_for(source.begun.wait_for(lambda: source.asked >= times), 10)


async def test_who_asks_at_the_same_moment_is_answered_by_one_run():
    together, source = Together[str, int](), Source()
    source.go_on.set()
    assert await asyncio.gather(*(together.find("a", source) for _ in range(5))) == [1] * 5
    assert source.asked == 1


async def test_who_asks_after_a_run_has_begun_is_answered_by_the_next_one():
    together, source = Together[str, int](), Source()
    first = asyncio.create_task(together.find("a", source))
    await _begun(source, 1)
    late = [asyncio.create_task(together.find("a", source)) for _ in range(3)]
    await asyncio.sleep(0)
    source.go_on.set()
    assert await first == 1
    assert await asyncio.gather(*late) == [2] * 3


async def test_nothing_is_kept_once_it_was_answered():
    together, source = Together[str, int](), Source()
    source.go_on.set()
    assert [await together.find("a", source) for _ in range(3)] == [1, 2, 3]
    assert not together._waiting and not together._begun


async def test_what_differs_is_asked_side_by_side():
    together, source = Together[str, int](), Source()
    asked = [asyncio.create_task(together.find(key, source)) for key in "ab"]
    await _begun(source, 2)
    source.go_on.set()
    assert sorted(await asyncio.gather(*asked)) == [1, 2]


async def test_an_error_is_told_to_all_who_wait_and_to_nobody_after():
    together, times = Together[str, int](), 0

    async def failing() -> int:
        nonlocal times
        times += 1
        raise ValueError(times)

    told = await asyncio.gather(*(together.find("a", failing) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in told] == ["1", "1", "1"]
    with pytest.raises(ValueError, match="2"):
        await together.find("a", failing)


async def test_one_who_goes_away_takes_the_answer_from_nobody():
    together, source = Together[str, int](), Source()
    first, second = (asyncio.create_task(together.find("a", source)) for _ in range(2))
    await _begun(source, 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.go_on.set()
    assert await second == 1
