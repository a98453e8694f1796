"""Steps that must not stop halfway."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Given = TypeVar("Given")


async def unbroken(step: Coroutine[Any, Any, Given]) -> Given:
    """Let a short step end although this task is cancelled meanwhile: else a claim could be made and not known."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
