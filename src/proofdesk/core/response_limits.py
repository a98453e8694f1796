"""Limits for the bodies of HTTP responses, so that no service can fill the memory."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2


class LimitedStream(httpx2.AsyncByteStream):
    """A body that raises `ReadError` after `max_bytes`, as they were sent."""

    def __init__(self, stream: httpx2.AsyncByteStream, max_bytes: int):
        self._stream, self._max_bytes = stream, max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body."""
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > self._max_bytes:
                raise httpx2.ReadError(f"the response has more than {self._max_bytes:,} bytes")
            yield part

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()


SMALL_RESPONSE = 2**20
"""Bytes that a service of which little is asked may answer."""


def limit_bodies(max_bytes: int) -> Callable[[httpx2.Response], Awaitable[None]]:
    """Return a response hook for a client. It does not unpack: ask for `identity` where a bomb could come."""

    async def limit(response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.AsyncByteStream), "the client is asynchronous"
        response.stream = LimitedStream(response.stream, max_bytes)

    return limit
