"""Answers that break on their way: cut before anything is said, cut in the middle, or without an end."""

import asyncio
import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk_simulators.serving import ConnectionCut

CUT, HALF, TRICKLE = "cut", "half", "trickle"
_PAUSE, _AT_MOST = 0.05, 120.0
_SAID = "the simulated server broke the connection off"
Headers = list[tuple[bytes, bytes]]


async def cut(send: Send, headers: Mapping[str, str]) -> None:
    """Begin an answer and break the connection off."""
    await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionCut(_SAID)


async def half(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer, and break the connection off in the middle of what it says."""
    body = bytearray()

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, take)
    await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
    raise ConnectionCut(_SAID)


async def trickle(receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
    """Send blanks, one after the other, until the client has enough."""
    await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
    gone = asyncio.create_task(_disconnected(receive))
    until = time.monotonic() + _AT_MOST
    while not gone.done() and time.monotonic() < until:
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.wait([gone], timeout=_PAUSE)
    gone.cancel()
    raise ConnectionCut(_SAID)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _raw(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
