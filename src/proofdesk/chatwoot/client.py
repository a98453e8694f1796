"""Chatwoot's application API, read only: one call a method, retried while that can help.

How Chatwoot behaves is told where it surprises; `C-nn` are the numbers of its client rules in our contract.
"""

import asyncio
import copy
import email.utils
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import stamina

from proofdesk.errors import Unavailable

MESSAGES_A_PAGE = 100
_RETRIED = {429, 500, 502, 503, 504}  # C-03


class ChatwootError(Unavailable):
    """A request that Chatwoot refused or did not answer. `permanent`: asking again will not help."""

    code = "chatwoot_sync_failed"

    def __init__(self, message: str, *, endpoint: str, status: int | None, account_id: int, **asked: Any):
        request_id, inbox_id = asked.get("request_id"), asked.get("inbox_id")
        upstream = {"service": "chatwoot", "method": "GET", "endpoint": endpoint}
        upstream |= {"status": status, "request_id": request_id}
        super().__init__(message, details={"upstream": upstream, "account_id": account_id, "inbox_id": inbox_id})
        self.status = status
        self.permanent = status is not None and status not in _RETRIED
        # C-01: a 401 may just as well mean that this one thing is not for this token.
        self.forbidden = status in (401, 403) and "access token" not in message.lower()
        self.retry_after: float | None = asked.get("retry_after")


@dataclass(frozen=True)
class Page:
    """Items as Chatwoot sent them, how many there are in all, and the server's clock when it answered."""

    items: list[Any]
    total: int | None
    server_time: datetime


class Chatwoot:
    """One Chatwoot installation, seen with one token. At most `concurrency` requests are in flight.

    `patience` is how long, in seconds, one call goes on being retried; `timeout` is that of one attempt.
    """

    def __init__(self, base_url: str, token: str, *, concurrency: int = 8, timeout: float = 30, patience: float = 120):
        self._http = httpx2.AsyncClient(
            base_url=base_url.rstrip("/"),
            # This spelling of the header survives proxies that drop names with underscores.
            headers={"Api-Access-Token": token, "Accept": "application/json"},
            timeout=timeout,
            limits=httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        )
        self._turns = asyncio.Semaphore(concurrency)
        self._clock_ahead = timedelta()
        self._pace: _Pace | None = None
        self._patience = patience

    def paced(self, per_minute: int) -> "Chatwoot":
        """The same client with its requests evenly spread, at most so many a minute."""
        slow = copy.copy(self)
        slow._pace = _Pace(per_minute)
        return slow

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def now(self) -> datetime:
        """The time on the server's clock, which is what its times compare with."""
        return datetime.now(UTC) + self._clock_ahead

    async def inboxes(self, account_id: int) -> list[Any]:
        """All inboxes that the token may see."""
        body, _ = await self._get(account_id, "/inboxes")
        return _list(body, "payload")

    async def conversations(self, account_id: int, page: int, sort_by: str, inbox_id: int | None = None) -> Page:
        """One page of all conversations of every status; past the end it is empty (C-05)."""
        params = {"status": "all", "assignee_type": "all", "sort_by": sort_by, "page": page}
        return await self._conversations(account_id, params, inbox_id)

    async def changed_conversations(self, account_id: int, within_seconds: int, inbox_id: int | None = None) -> Page:
        """All conversations whose `updated_at` lies within the last seconds, in one answer (C-07)."""
        params = {"status": "all", "assignee_type": "all", "updated_within": within_seconds}
        return await self._conversations(account_id, params, inbox_id)

    async def conversation(self, account_id: int, conversation_id: int) -> dict[str, Any] | None:
        """One conversation; None when it does not exist any more (C-04)."""
        return await self._get_or_none(account_id, f"/conversations/{conversation_id}")

    async def messages(self, account_id: int, conversation_id: int, after: int) -> list[Any] | None:
        """Up to 100 messages with greater ids, oldest first; None when the conversation is gone."""
        body = await self._get_or_none(account_id, f"/conversations/{conversation_id}/messages", after=after)
        return None if body is None else _list(body, "payload")

    async def contacts(self, account_id: int, page: int, sort: str) -> Page:
        """One page of the contacts that have an address; past the end it is empty."""
        body, at = await self._get(account_id, "/contacts", page=page, sort=sort, include_contact_inboxes="false")
        return Page(_list(body, "payload"), _dict(body, "meta").get("count"), at)

    async def contact(self, account_id: int, contact_id: int) -> dict[str, Any] | None:
        """One contact; None when it does not exist any more."""
        body = await self._get_or_none(account_id, f"/contacts/{contact_id}")
        return None if body is None else _dict(body, "payload")

    async def _conversations(self, account_id: int, params: dict[str, Any], inbox_id: int | None) -> Page:
        if inbox_id is not None:
            params["inbox_id"] = inbox_id
        body, at = await self._get(account_id, "/conversations", **params)
        data = _dict(body, "data")
        return Page(_list(data, "payload"), _dict(data, "meta").get("all_count"), at)

    async def _get_or_none(self, account_id: int, path: str, **params: Any) -> Any:
        try:
            return (await self._get(account_id, path, **params))[0]
        except ChatwootError as error:
            if error.status == 404:
                return None
            raise

    async def _get(self, account_id: int, path: str, **params: Any) -> tuple[Any, datetime]:
        endpoint = f"/api/v1/accounts/{account_id}{path}"
        async for attempt in stamina.retry_context(
            on=_backoff,
            attempts=None,
            timeout=self._patience,
            wait_initial=0.1,
            wait_max=30.0,
            wait_jitter=0.1,
        ):
            with attempt:
                async with self._turns:
                    return await self._attempt(account_id, endpoint, params)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, account_id: int, endpoint: str, params: dict[str, Any]) -> tuple[Any, datetime]:
        asked = {"endpoint": endpoint, "account_id": account_id, "inbox_id": params.get("inbox_id")}
        if self._pace is not None:
            await self._pace.turn()
        try:
            response = await self._http.get(endpoint, params=params)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ChatwootError(f"Chatwoot cannot be reached: {reason}.", status=None, **asked) from error
        if response.status_code != 200:
            raise _refusal(response, asked)
        try:
            body = response.json()
        except ValueError as error:
            what = f"Chatwoot answered {endpoint} with something that is not JSON."
            raise ChatwootError(what, status=502, **asked) from error
        server_time = _clock(response)
        self._clock_ahead = server_time - datetime.now(UTC)
        return body, server_time


class _Pace:
    def __init__(self, per_minute: int):
        self._spacing = 60 / per_minute
        self._next = time.monotonic()

    async def turn(self) -> None:
        mine = max(self._next, time.monotonic())
        self._next = mine + self._spacing
        await asyncio.sleep(mine - time.monotonic())


def _backoff(error: Exception) -> bool | float:
    if not isinstance(error, ChatwootError) or error.permanent:
        return False
    return error.retry_after if error.retry_after is not None else True


def _refusal(response: httpx2.Response, asked: dict[str, Any]) -> ChatwootError:
    status = response.status_code
    where = f"GET {asked['endpoint']} (account {asked['account_id']}"
    where += f", inbox {asked['inbox_id']})" if asked["inbox_id"] else ")"
    said = _said(response)
    hint = {
        401: "Check CHATWOOT_API_TOKEN and that its user is an administrator of the account."
        if "access token" not in said.lower()
        else "CHATWOOT_API_TOKEN is not valid there; a proxy may also drop the header.",
        404: "Check CHATWOOT_ACCOUNT_ID and the bound sources.",
        429: "Chatwoot is throttling; lower CHATWOOT_CONCURRENCY.",
    }.get(status, "")
    if status in range(300, 400):
        hint = "An API address does not redirect; check CHATWOOT_BASE_URL (https, no path)."
    message = f"Chatwoot answered {status} to {where}: {said} {hint}".strip()
    return ChatwootError(
        message,
        status=status,
        request_id=response.headers.get("x-request-id"),
        retry_after=_retry_after(response),
        **asked,
    )


def _said(response: httpx2.Response) -> str:
    # C-02: errors come as JSON in two forms, as text, as a proxy's HTML, or empty.
    try:
        body = response.json()
    except ValueError:
        html = "html" in response.headers.get("content-type", "")
        return "a page of a proxy." if html else response.text.strip()[:200]
    if isinstance(body, dict):
        body = body.get("error") or body.get("errors") or body.get("message") or body
    return str(body)[:200]


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return min(float(value), 60.0) if value.isdigit() else None


def _clock(response: httpx2.Response) -> datetime:
    try:
        return email.utils.parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _dict(body: Any, key: str) -> dict[str, Any]:
    found = body.get(key) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _list(body: Any, key: str) -> list[Any]:
    found = body.get(key) if isinstance(body, dict) else None
    return found if isinstance(found, list) else []
