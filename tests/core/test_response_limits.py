"""No response fills the memory or takes for ever."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk.core.response_limits import limit_bodies
from proofdesk_simulators.serving import running


async def respond_endlessly(request: Request) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.05 if "slow" in request.url.path else 0)
            yield b" " * (1 if "slow" in request.url.path else 2**16)

    return StreamingResponse(parts(), 200, {}, "application/json")


APP = Starlette(routes=[Route("/{path:path}", respond_endlessly, methods=["GET", "POST"])])


async def test_client_stops_reading_at_the_limit():
    hooks = {"response": [limit_bodies(2**20)]}
    with running(APP) as address:
        async with httpx2.AsyncClient(event_hooks=hooks, timeout=5) as client:
            with pytest.raises(httpx2.ReadError, match="more than 1,048,576 bytes"):
                await client.get(f"{address}/fast")


@pytest.mark.parametrize("path", ["fast", "slow"])
async def test_endless_answer_of_telegram_ends_the_call(path: str):
    with running(APP) as address:
        bot = Bot(f"{address}/{path}", "1:token", timeout=0.3)
        started = time.monotonic()
        with pytest.raises(TelegramError, match="cannot be reached") as raised:
            await bot.send(1, "Hello")
        assert raised.value.outcome_unknown and time.monotonic() - started < 5
        await bot.aclose()
