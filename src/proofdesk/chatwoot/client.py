"""Client of Chatwoot's application API: one method for each call.

Reads are retried while a retry can help. The only write is never retried. Numbers such as `C-08` are facts in
`docs/chatwoot.md`.
"""

import asyncio
import copy
import itertools
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
import stamina

from proofdesk.chatwoot import parsing, responses, retries
from proofdesk.chatwoot.responses import ChatwootError, ChatwootRequest, ChatwootResponse
from proofdesk.core import certificates

TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class ListPage:
    """Items as Chatwoot sent them, the number of all items if known, and the response that held them.

    `broken`: Chatwoot cannot show this page, and its items were read one by one where that was possible. `unreadable`
    holds the ids of those that failed, with the reason.
    """

    items: list[Any]
    total: int | None
    response: ChatwootResponse
    broken: bool = False
    unreadable: Mapping[int, str] = field(default_factory=dict[int, str])


class ChatwootClient:
    """Client of one Chatwoot installation with one token. At most `concurrency` requests are in flight.

    `retry_timeout` is how many seconds a read is retried, `timeout` how many seconds one response may take to its end,
    `max_bytes` how large it may be, and `throttle_window` the length of Chatwoot's throttling window in seconds.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        concurrency: int = 8,
        timeout: float = 30,
        retry_timeout: float = 120,
        max_attempts: int | None = None,
        max_bytes: int = 256 * 1024**2,
        throttle_window: float = retries.WINDOW_SECONDS,
    ):
        # A first sync sends thousands of requests; httpx2 took half of its time (docs/decisions/two-http-clients.md).
        self._http = aiohttp.ClientSession(
            # Proxies that drop header names with underscores let this spelling pass.
            headers={"Api-Access-Token": token, "Accept": "application/json"},
            connector=aiohttp.TCPConnector(limit=concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout),
            trust_env=bool(getproxies()),  # without a proxy, looking for one takes longer than the request
        )
        self.concurrency = concurrency
        self._base_url = base_url.rstrip("/")
        self._slots = asyncio.Semaphore(concurrency)
        self._clock = retries.ServerClock()
        self._rate_limit: retries.RateLimit | None = None
        self._throttle = retries.Throttle(self._clock, throttle_window)
        self._token, self._timeout, self._max_bytes = token, timeout, max_bytes
        self._retry_timeout, self._max_attempts = retry_timeout, max_attempts
        self._max_slow_attempts: int | None = None

    def with_rate_limit(self, per_minute: int) -> "ChatwootClient":
        """Return a client that spreads its requests evenly, at most so many a minute."""
        limited = copy.copy(self)
        limited._rate_limit = retries.RateLimit(per_minute)
        return limited

    def with_retry_timeout(self, seconds: float) -> "ChatwootClient":
        """Return a client with another retry timeout."""
        other = copy.copy(self)
        other._retry_timeout = seconds
        return other

    def with_max_retry_timeout(self, seconds: float) -> "ChatwootClient":
        """Return a client whose retry timeout is at most this long."""
        return self.with_retry_timeout(min(seconds, self._retry_timeout))

    def with_max_attempts(self, number: int) -> "ChatwootClient":
        """Return a client that sends a request at most so many times."""
        other = copy.copy(self)
        other._max_attempts = number if self._max_attempts is None else min(number, self._max_attempts)
        return other

    def with_max_slow_attempts(self, number: int) -> "ChatwootClient":
        """Return a client that gives up after so many attempts that were too slow: the caller will ask for less."""
        other = copy.copy(self)
        other._max_slow_attempts = number
        return other

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.close()

    def now(self) -> datetime:
        """Return the time on the server's clock, with which its timestamps compare (C-45)."""
        return self._clock.now()

    async def server_info(self) -> ChatwootResponse:
        """Fetch public information about the server, such as its `version`. One attempt."""
        return await self._attempt(ChatwootRequest(None, "/api", {}))

    async def profile(self) -> ChatwootResponse:
        """Fetch the user of the token, with their `role` in each of `accounts`. One attempt. It repeats the token."""
        return await self._attempt(ChatwootRequest(None, "/api/v1/profile", {}))

    async def inboxes(self, account_id: int) -> ChatwootResponse:
        """Fetch all inboxes that the token may see, as the list `payload`."""
        return await self._get(account_id, "/inboxes")

    async def inbox(self, account_id: int, inbox_id: int) -> dict[str, Any] | None:
        """Fetch an inbox; None if it does not exist any more (C-04)."""
        response = await self._get_or_none(account_id, f"/inboxes/{inbox_id}")
        return response and response.object()

    async def conversations(self, account_id: int, page: int, sort_by: str, inbox_id: int | None = None) -> ListPage:
        """Fetch one page of all conversations of every status; past the end it is empty (C-05)."""
        params = {"status": "all", "assignee_type": "all", "sort_by": sort_by, "page": page}
        return await self._conversations(account_id, params, inbox_id)

    async def changed_conversations(
        self, account_id: int, within_seconds: int, inbox_id: int | None = None
    ) -> ListPage:
        """Fetch all conversations whose `updated_at` lies within the last seconds, in one response (C-07)."""
        params = {"status": "all", "assignee_type": "all", "updated_within": within_seconds}
        return await self._conversations(account_id, params, inbox_id)

    async def conversation(self, account_id: int, conversation_id: int) -> dict[str, Any] | None:
        """Fetch a conversation; None if it does not exist any more (C-04)."""
        response = await self._get_or_none(account_id, f"/conversations/{conversation_id}")
        return response and response.object()

    async def messages(self, account_id: int, conversation_id: int, first: int, end: int) -> list[Any] | None:
        """Fetch the messages with `first <= id < end`, at most 1,000 (C-08); None if the conversation is deleted."""
        path = f"/conversations/{conversation_id}/messages"
        response = await self._get_or_none(account_id, path, after=first, before=end)
        return None if response is None else response.list("payload")

    async def check_not_truncated(self, account_id: int, conversation_id: int, message_id: int) -> None:
        """Raise `ChatwootError` if this message exists, although a window that was not full did not hold it."""
        path = f"/conversations/{conversation_id}/messages"
        response = await self._get_or_none(account_id, path, after=message_id, before=message_id + 1)
        if response is not None and message_id in parsing.item_ids(response.list("payload")):
            raise responses.truncated_window_error(response)

    async def newest_messages(self, account_id: int, conversation_id: int, before: int | None) -> list[dict[str, Any]]:
        """Fetch the last 20 messages, or the 20 before an id, oldest first; none if the conversation is deleted."""
        params = {} if before is None else {"before": before}
        response = await self._get_or_none(account_id, f"/conversations/{conversation_id}/messages", **params)
        return [] if response is None else parsing.objects_with_id(response.list("payload"))

    async def post_message(self, account_id: int, conversation_id: int, body: dict[str, Any]) -> dict[str, Any]:
        """Store a message for delivery and return it as stored. One attempt: a second would store another (C-21).

        Raises `ChatwootError`; its `outcome_unknown` tells whether the message may be stored nevertheless.
        """
        endpoint = f"/api/v1/accounts/{account_id}/conversations/{conversation_id}/messages"
        async with self._slots:
            return (await self._attempt(ChatwootRequest(account_id, endpoint, {}, body, writes=True))).object()

    async def contacts(self, account_id: int, page: int, sort: str) -> ListPage:
        """Fetch one page of the contacts that have an address; past the end it is empty (C-16)."""
        response = await self._get(account_id, "/contacts", page=page, sort=sort, include_contact_inboxes="false")
        return ListPage(response.list("payload"), _count(response.object("meta").get("count")), response)

    async def contact(self, account_id: int, contact_id: int) -> dict[str, Any] | None:
        """Fetch a contact; None if it does not exist any more."""
        response = await self._get_or_none(account_id, f"/contacts/{contact_id}")
        return response and response.object("payload")

    async def contact_conversations(self, account_id: int, contact_id: int) -> list[dict[str, Any]]:
        """Fetch all conversations of a contact, latest activity first; none if the contact is deleted (C-15)."""
        by_id: dict[int, dict[str, Any]] = {}
        for page in range(1, responses.MAX_FILTER_PAGES + 1):
            listed = await self._contact_page(account_id, contact_id, page)
            if all(item["id"] in by_id for item in listed):  # empty, or a server that repeats its pages
                break
            by_id |= {item["id"]: item for item in listed}
        return list(by_id.values())

    async def latest_conversations(self, account_id: int, contact_id: int) -> list[dict[str, Any]]:
        """Fetch the conversations of a contact with the latest activity, in one request (C-15)."""
        return await self._contact_page(account_id, contact_id, 1)

    async def _contact_page(self, account_id: int, contact_id: int, page: int) -> list[dict[str, Any]]:
        condition = {"attribute_key": "contact_id", "filter_operator": "equal_to", "values": [contact_id]}
        endpoint = f"/api/v1/accounts/{account_id}/conversations/filter"
        request = ChatwootRequest(account_id, endpoint, {"page": page}, {"payload": [condition]})
        return parsing.objects_with_id((await self._read(request)).list("payload"))

    async def _conversations(self, account_id: int, params: dict[str, Any], inbox_id: int | None) -> ListPage:
        if inbox_id is not None:
            params["inbox_id"] = inbox_id
        response = await self._get(account_id, "/conversations", **params)
        total = _count(response.object("data", "meta").get("all_count"))
        return ListPage(response.list("data", "payload"), total, response)

    async def _get_or_none(self, account_id: int, path: str, **params: Any) -> ChatwootResponse | None:
        try:
            return await self._get(account_id, path, **params)
        except ChatwootError as error:
            if error.gone:
                return None
            raise

    async def _get(self, account_id: int, path: str, **params: Any) -> ChatwootResponse:
        return await self._read(ChatwootRequest(account_id, f"/api/v1/accounts/{account_id}{path}", params))

    async def _read(self, request: ChatwootRequest) -> ChatwootResponse:
        slow_attempts = itertools.count(1)

        def backoff(error: Exception) -> bool | float:
            if isinstance(error, ChatwootError) and error.too_slow and next(slow_attempts) == self._max_slow_attempts:
                return False
            return self._backoff(error)

        async for attempt in stamina.retry_context(
            on=backoff,
            attempts=self._max_attempts,
            timeout=self._retry_timeout,
            wait_initial=0.1,
            wait_max=30.0,
            wait_jitter=0.1,
        ):
            with attempt:
                async with self._slots:
                    await self._throttle.wait(self._retry_timeout)
                    if self._rate_limit is not None:
                        await self._rate_limit.wait()
                    return await self._attempt(request)
        raise AssertionError("the last attempt returns or raises")

    def _backoff(self, error: Exception) -> bool | float:
        if not isinstance(error, ChatwootError) or error.permanent:
            return False
        if error.retry_after is not None:
            seconds = retries.with_jitter(error.retry_after)
        elif error.status == TOO_MANY_REQUESTS:
            seconds = self._throttle.close_window()
        else:
            return True
        return seconds if seconds <= self._retry_timeout else False

    async def _attempt(self, request: ChatwootRequest) -> ChatwootResponse:
        http_response = None
        try:
            # aiohttp's own timeouts run from one byte to the next: a response that trickles never reaches them.
            async with asyncio.timeout(self._timeout), self._send(request) as http_response:
                body = await self._read_body(request, http_response)
        except TimeoutError as error:
            raise responses.timeout_error(error, request, http_response, self._timeout) from error
        except aiohttp.ClientError as error:
            expects_tls = http_response is None and await self._expects_tls(error)
            raise responses.connection_error(error, request, http_response, expects_tls=expects_tls) from error
        if http_response.status != 200:
            if http_response.status == TOO_MANY_REQUESTS:
                self._clock.set(responses.server_time(http_response))
            raise responses.refusal_error(request, http_response, body, self._token)
        response = responses.parse_response(request, http_response, body)
        self._clock.set(response.server_time)
        return response

    async def _expects_tls(self, error: aiohttp.ClientError) -> bool:
        """Return whether a port that does not answer http speaks https."""
        url, connected = urlsplit(self._base_url), not isinstance(error, aiohttp.ClientConnectorError)
        return connected and url.scheme == "http" and await certificates.speaks_tls(url.hostname or "", url.port or 80)

    def _send(self, request: ChatwootRequest) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = self._base_url + request.endpoint
        return self._http.request(request.method, url, params=request.params, json=request.body, allow_redirects=False)

    async def _read_body(self, request: ChatwootRequest, http_response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in http_response.content.iter_any():
            body += part
            if len(body) > self._max_bytes:
                raise responses.too_large_error(request, http_response, self._max_bytes)
        return bytes(body)


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**63 else None
