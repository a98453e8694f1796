"""Asking once for all who ask the same at the same time."""

import asyncio

import pytest

from proofdesk.together import Together

FOR_EVER = 3600.0  # no test waits for that


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


async def _turned() -> None:
    for _ in range(5):  # whatever could begin has begun
        await asyncio.sleep(0)


async def test_who_asks_at_the_same_moment_is_answered_by_one_run():
    together, source = Together[str, int](), Source()
    source.go_on.set()
    assert await asyncio.gather(*(together.find("a", source) for _ in range(5))) == [1] * 5
    assert source.asked == 1


async def test_who_asks_after_a_run_has_begun_is_answered_by_the_next_one_which_waits_for_nobody_else():
    together, source = Together[str, int](FOR_EVER), Source()
    first = asyncio.create_task(together.find("a", source))
    await _begun(source, 1)
    late = [asyncio.create_task(together.find("a", source)) for _ in range(3)]
    await asyncio.sleep(0)
    source.go_on.set()
    assert await first == 1
    assert await asyncio.wait_for(asyncio.gather(*late), 10) == [2] * 3


async def test_nothing_is_kept_once_it_was_answered():
    together, source = Together[str, int](), Source()
    source.go_on.set()
    assert [await together.find("a", source) for _ in range(3)] == [1, 2, 3]
    assert not together._next and not together._begun


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


async def test_who_was_answered_together_is_so_again_though_one_comes_back_after_the_other():
    together, source = Together[str, int](FOR_EVER), Source()
    source.go_on.set()
    await asyncio.gather(*(together.find("a", source) for _ in range(5)))
    for run in (2, 3):
        asked: list[asyncio.Task[int]] = []
        for _ in range(5):
            asked.append(asyncio.create_task(together.find("a", source)))
            await _turned()
        assert await asyncio.wait_for(asyncio.gather(*asked), 10) == [run] * 5


async def test_who_waited_for_the_others_to_be_answered_is_answered_with_them():
    together, source = Together[str, int](FOR_EVER), Source()
    early = [asyncio.create_task(together.find("a", source)) for _ in range(2)]
    await _begun(source, 1)
    late = asyncio.create_task(together.find("a", source))
    await _turned()
    source.go_on.set()
    assert await asyncio.gather(*early) == [1, 1]
    again = [asyncio.create_task(together.find("a", source))]
    await _turned()
    again.append(asyncio.create_task(together.find("a", source)))
    assert await asyncio.wait_for(asyncio.gather(late, *again), 10) == [2, 2, 2]


async def test_who_asks_alone_waits_for_nobody():
    together, source = Together[str, int](FOR_EVER), Source()
    source.go_on.set()
    for run in (1, 2, 3):
        assert await asyncio.wait_for(together.find("a", source), 10) == run
    await asyncio.gather(*(together.find("a", source) for _ in range(2)))
    assert await asyncio.wait_for(together.find("b", source), 10) == 5


async def test_for_those_who_do_not_come_back_nobody_waits_long():
    together, source = Together[str, int](0.01), Source()
    source.go_on.set()
    await asyncio.gather(*(together.find("a", source) for _ in range(5)))
    assert await asyncio.wait_for(asyncio.gather(*(together.find("a", source) for _ in range(2))), 10) == [2, 2]
    assert await asyncio.wait_for(together.find("a", source), 10) == 3
    assert not together._next and not together._begun


async def test_when_nobody_comes_back_it_is_forgotten_that_anybody_was_awaited():
    together, source = Together[str, int](0.01), Source()
    source.go_on.set()
    await asyncio.gather(*(together.find("a", source) for _ in range(5)))
    for _ in range(1000):
        if not together._next:
            break
        await asyncio.sleep(0.01)
    assert not together._next and not together._begun
