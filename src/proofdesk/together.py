"""Asking once for all who ask the same at the same time."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")

GATHER = 0.002  # seconds, in which those who wait for answers come back for the next; in 1 ms half of them do


class _Run(Generic[Found]):
    """What is found out once, for all who ask before it begins: that is when `enough` have asked, or it is told to."""

    def __init__(self, enough: float) -> None:
        self.enough = enough
        self.asked = 0
        self.begins = asyncio.Event()
        self.answer: asyncio.Task[Found] | None = None


class Together(Generic[Key, Found]):
    """Who asks while the same is being found out waits, and is answered together with all who wait by then.

    When several were answered together, it begins anew as soon as as many have asked again, or after `gather` seconds:
    they come back one after the other, and the first would be answered alone. Who asks alone waits for nobody.

    Nothing is kept: every answer was begun after it was asked for, so nobody is told less than if he had asked alone.
    What an answer raises, all are told who wait for it; one who goes away takes it from nobody.
    """

    def __init__(self, gather: float = GATHER) -> None:
        self._gather = gather
        self._next: dict[Key, _Run[Found]] = {}
        self._begun: dict[Key, _Run[Found]] = {}

    async def find(self, key: Key, find: Callable[[], Awaitable[Found]]) -> Found:
        """What `find` finds, run for this caller or for another with the same key."""
        run = self._next.get(key) or self._next.setdefault(key, _Run(math.inf if key in self._begun else 1))
        if run.answer is None:
            run.answer = asyncio.create_task(self._found(key, run, find))
        run.asked += 1
        if run.asked >= run.enough:
            run.begins.set()
        return await asyncio.shield(run.answer)

    async def _found(self, key: Key, run: _Run[Found], find: Callable[[], Awaitable[Found]]) -> Found:
        await run.begins.wait()
        self._begun[key] = self._next.pop(key)
        try:
            return await find()
        finally:
            del self._begun[key]
            self._go_on(key, run.asked)

    def _go_on(self, key: Key, answered: int) -> None:
        run = self._next.get(key)
        if answered > 1:
            run = run or self._next.setdefault(key, _Run(answered))
            run.enough = run.asked + answered
            asyncio.get_running_loop().call_later(self._gather, self._begin, key, run)
        elif run is not None:
            run.begins.set()

    def _begin(self, key: Key, run: _Run[Found]) -> None:
        run.begins.set()
        if not run.asked:
            del self._next[key]
