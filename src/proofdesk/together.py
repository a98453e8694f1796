"""Asking once for all who ask the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class Together(Generic[Key, Found]):
    """Who asks while the same is being found out waits, and is answered together with all who wait by then.

    Nothing is kept: every answer was begun after it was asked for, so nobody is told less than if he had asked alone.
    What an answer raises, all are told who wait for it; one who goes away takes it from nobody.
    """

    def __init__(self) -> None:
        self._waiting: dict[Key, asyncio.Task[Found]] = {}
        self._begun: dict[Key, asyncio.Task[Found]] = {}

    async def find(self, key: Key, find: Callable[[], Awaitable[Found]]) -> Found:
        """What `find` finds, run for this caller or for another with the same key."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = asyncio.create_task(self._found(key, find, self._begun.get(key)))
            self._waiting[key] = answer
        return await asyncio.shield(answer)

    async def _found(self, key: Key, find: Callable[[], Awaitable[Found]], before: asyncio.Task[Found] | None) -> Found:
        if before is not None:
            await asyncio.wait([before])
        self._begun[key] = self._waiting.pop(key)
        try:
            return await find()
        finally:
            del self._begun[key]
