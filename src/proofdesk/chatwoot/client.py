"""Chatwoot's application API: one call a method. Reads are retried while that can help, the one write never is.

How Chatwoot behaves is told where it surprises; `C-nn` are the numbers of its client rules in our contract.
"""

import asyncio
import copy
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import getproxies

import aiohttp
import stamina

from proofdesk.chatwoot import parsing, responses
from proofdesk.chatwoot.responses import ChatwootError, ChatwootRequest, ChatwootResponse


@dataclass(frozen=True)
class ListPage:
    """Items as Chatwoot sent them, how many there are in all, and the answer they came in."""

    items: list[Any]
    total: int | None
    response: ChatwootResponse


class ChatwootClient:
    """One Chatwoot installation, seen with one token. At most `concurrency` requests are in flight.

    `patience` is how long, in seconds, one call goes on being retried; `timeout` is the longest that one answer may
    take to its end, and `largest` the most bytes that it may have.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        concurrency: int = 8,
        timeout: float = 30,
        retry_timeout: float = 120,
        max_bytes: int = 256 * 1024**2,
    ):
        # aiohttp rather than httpx2: a first reading asks thousands of times, and spent half of its time in the latter.
        self._http = aiohttp.ClientSession(
            # This spelling of the header survives proxies that drop names with underscores.
            headers={"Api-Access-Token": token, "Accept": "application/json"},
            connector=aiohttp.TCPConnector(limit=concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout),
            trust_env=bool(getproxies()),  # where there is no proxy, looking for one takes longer than the request
        )
        self.concurrency = concurrency
        self._base_url = base_url.rstrip("/")
        self._slots = asyncio.Semaphore(concurrency)
        self._clock_ahead = timedelta()
        self._pace: _RateLimit | None = None
        self._token, self._timeout, self._retry_timeout, self._max_bytes = token, timeout, retry_timeout, max_bytes

    def with_rate_limit(self, per_minute: int) -> "ChatwootClient":
        """The same client with its requests evenly spread, at most so many a minute."""
        limited = copy.copy(self)
        limited._pace = _RateLimit(per_minute)
        return limited

    def with_retry_timeout(self, seconds: float) -> "ChatwootClient":
        """The same client with another patience."""
        other = copy.copy(self)
        other._retry_timeout = seconds
        return other

    def with_max_retry_timeout(self, seconds: float) -> "ChatwootClient":
        """The same client with this patience at most."""
        return self.with_retry_timeout(min(seconds, self._retry_timeout))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close()

    def now(self) -> datetime:
        """The time on the server's clock, which is what its times compare with."""
        return datetime.now(UTC) + self._clock_ahead

    async def server_info(self) -> ChatwootResponse:
        """The server itself, which tells its `version` to anybody; tried once."""
        return await self._attempt(ChatwootRequest(None, "/api", {}))

    async def profile(self) -> ChatwootResponse:
        """The token's user and, in `accounts`, his `role` in each; tried once. It repeats the token."""
        return await self._attempt(ChatwootRequest(None, "/api/v1/profile", {}))

    async def inboxes(self, account_id: int) -> ChatwootResponse:
        """All inboxes that the token may see, as the list `payload`."""
        return await self._get(account_id, "/inboxes")

    async def conversations(self, account_id: int, page: int, sort_by: str, inbox_id: int | None = None) -> ListPage:
        """One page of all conversations of every status; past the end it is empty (C-05)."""
        params = {"status": "all", "assignee_type": "all", "sort_by": sort_by, "page": page}
        return await self._conversations(account_id, params, inbox_id)

    async def changed_conversations(
        self, account_id: int, within_seconds: int, inbox_id: int | None = None
    ) -> ListPage:
        """All conversations whose `updated_at` lies within the last seconds, in one answer (C-07)."""
        params = {"status": "all", "assignee_type": "all", "updated_within": within_seconds}
        return await self._conversations(account_id, params, inbox_id)

    async def conversation(self, account_id: int, conversation_id: int) -> dict[str, Any] | None:
        """One conversation; None when it does not exist any more (C-04)."""
        answer = await self._get_or_none(account_id, f"/conversations/{conversation_id}")
        return answer and answer.object()

    async def messages(self, account_id: int, conversation_id: int, first: int, end: int) -> list[Any] | None:
        """Messages with `first <= id < end`, oldest first, all of them or 1,000 (C-08); None when it is gone."""
        path = f"/conversations/{conversation_id}/messages"
        answer = await self._get_or_none(account_id, path, after=first, before=end)
        return None if answer is None else answer.list("payload")

    async def check_not_truncated(self, account_id: int, conversation_id: int, message_id: int) -> None:
        """Raise `ChatwootError` when there is this message, which a window that was not full did not hold."""
        path = f"/conversations/{conversation_id}/messages"
        answer = await self._get_or_none(account_id, path, after=message_id, before=message_id + 1)
        if answer is not None and message_id in parsing.item_ids(answer.list("payload")):
            raise responses.truncated_window_error(answer)

    async def newest_messages(self, account_id: int, conversation_id: int, before: int | None) -> list[dict[str, Any]]:
        """The last 20 messages, or those before an id, oldest first; none when the conversation is gone."""
        params = {} if before is None else {"before": before}
        return _valid_items(await self._get_or_none(account_id, f"/conversations/{conversation_id}/messages", **params))

    async def post_message(self, account_id: int, conversation_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """Store a message, which Chatwoot then delivers; as stored. One attempt: a second would store another (C-21).

        Raises `ChatwootError`; its `perhaps_done` says whether the message may be stored all the same.
        """
        endpoint = f"/api/v1/accounts/{account_id}/conversations/{conversation_id}/messages"
        async with self._slots:
            return (await self._attempt(ChatwootRequest(account_id, endpoint, {}, body))).object()

    async def contacts(self, account_id: int, page: int, sort: str) -> ListPage:
        """One page of the contacts that have an address; past the end it is empty."""
        answer = await self._get(account_id, "/contacts", page=page, sort=sort, include_contact_inboxes="false")
        return ListPage(answer.list("payload"), _count(answer.object("meta").get("count")), answer)

    async def contact(self, account_id: int, contact_id: int) -> dict[str, Any] | None:
        """One contact; None when it does not exist any more."""
        answer = await self._get_or_none(account_id, f"/contacts/{contact_id}")
        return answer and answer.object("payload")

    async def contact_conversations(self, account_id: int, contact_id: int) -> list[dict[str, Any]]:
        """A contact's newest conversations, up to 20; none when the contact is gone."""
        return _valid_items(await self._get_or_none(account_id, f"/contacts/{contact_id}/conversations"))

    async def _conversations(self, account_id: int, params: dict[str, Any], inbox_id: int | None) -> ListPage:
        if inbox_id is not None:
            params["inbox_id"] = inbox_id
        answer = await self._get(account_id, "/conversations", **params)
        return ListPage(answer.list("data", "payload"), _count(answer.object("data", "meta").get("all_count")), answer)

    async def _get_or_none(self, account_id: int, path: str, **params: Any) -> ChatwootResponse | None:
        try:
            return await self._get(account_id, path, **params)
        except ChatwootError as error:
            if error.gone:
                return None
            raise

    async def _get(self, account_id: int, path: str, **params: Any) -> ChatwootResponse:
        request = ChatwootRequest(account_id, f"/api/v1/accounts/{account_id}{path}", params)
        async for attempt in stamina.retry_context(
            on=self._backoff,
            attempts=None,
            timeout=self._retry_timeout,
            wait_initial=0.1,
            wait_max=30.0,
            wait_jitter=0.1,
        ):
            with attempt:
                async with self._slots:
                    if self._pace is not None:
                        await self._pace.wait()
                    return await self._attempt(request)
        raise AssertionError("the last attempt returns or raises")

    def _backoff(self, error: Exception) -> bool | float:
        if not isinstance(error, ChatwootError) or error.permanent:
            return False
        if error.retry_after is None:
            return True
        return error.retry_after if error.retry_after <= self._retry_timeout else False

    async def _attempt(self, request: ChatwootRequest) -> ChatwootResponse:
        response = None
        try:
            # aiohttp's own timeouts are from one byte to the next: an answer that trickles never meets them.
            async with asyncio.timeout(self._timeout), self._send(request) as response:
                body = await self._read_body(request, response)
        except TimeoutError as error:
            raise responses.timeout_error(error, request, response, self._timeout) from error
        except aiohttp.ClientError as error:
            raise responses.connection_error(error, request, response) from error
        if response.status != 200:
            raise responses.refusal_error(request, response, body, self._token)
        answer = responses.parse_response(request, response, body)
        self._clock_ahead = answer.server_time - datetime.now(UTC)
        return answer

    def _send(self, request: ChatwootRequest) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = self._base_url + request.endpoint
        return self._http.request(request.method, url, params=request.params, json=request.body, allow_redirects=False)

    async def _read_body(self, request: ChatwootRequest, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > self._max_bytes:
                raise responses.too_large_error(request, response, self._max_bytes)
        return bytes(body)


class _RateLimit:
    def __init__(self, per_minute: int):
        self._spacing = 60 / per_minute
        self._next = time.monotonic()

    async def wait(self) -> None:
        at = max(self._next, time.monotonic())
        self._next = at + self._spacing
        await asyncio.sleep(at - time.monotonic())


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _valid_items(response: ChatwootResponse | None) -> list[dict[str, Any]]:
    """The payload, but what is no object with an id."""
    items = [] if response is None else response.list("payload")
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("id"), int)]
