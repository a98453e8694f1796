"""Broken responses: cut at the start, cut in the middle, or without an end."""

import asyncio
import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proofdesk_simulators.serving import ConnectionCut

CUT, HALF, TRICKLE = "cut", "half", "trickle"
_PAUSE, _AT_MOST = 0.05, 120.0
_REASON = "the simulated server closed the connection"
Headers = list[tuple[bytes, bytes]]


async def cut(send: Send, headers: Mapping[str, str]) -> None:
    """Start a response, then close the connection."""
    await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionCut(_REASON)


async def half(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Send half of the app's response, then close the connection."""
    body = bytearray()

    async def take(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, take)
    await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
    raise ConnectionCut(_REASON)


async def trickle(receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
    """Send blanks until the client disconnects."""
    await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
    disconnect = asyncio.create_task(_disconnected(receive))
    until = time.monotonic() + _AT_MOST
    while not disconnect.done() and time.monotonic() < until:
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.wait([disconnect], timeout=_PAUSE)
    disconnect.cancel()
    raise ConnectionCut(_REASON)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _raw(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
