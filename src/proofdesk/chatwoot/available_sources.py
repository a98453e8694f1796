"""What Chatwoot would let a project read: the accounts of the token, and the inboxes in them by name."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError

CACHE_SECONDS = 20.0  # seconds, so that a page of many projects asks once
TIMEOUT_SECONDS = 4.0  # seconds that a person waits at most
_ONE_TRY = 1e-6

_cache: WeakKeyDictionary[ChatwootClient, tuple[float, "asyncio.Task[AvailableSources]"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class AvailableSources:
    """Names of accounts by id, and of inboxes by account and id. `problem` tells why there may be none."""

    accounts: dict[int, str] = field(default_factory=dict)
    inboxes: dict[tuple[int, int], str] = field(default_factory=dict)
    problem: str = ""


async def load_available_sources(client: ChatwootClient | None) -> AvailableSources:
    """What can be read, up to `KEPT` seconds old. Never fails: what is in the way is told."""
    if client is None:
        return AvailableSources(problem="Chatwoot is not configured: set CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN.")
    started, task = _cache.get(client, (0.0, None))
    if task is None or task.get_loop() is not asyncio.get_running_loop() or time.monotonic() - started > CACHE_SECONDS:
        task = asyncio.create_task(_load(client.with_retry_timeout(_ONE_TRY)))
        _cache[client] = (time.monotonic(), task)
    return await asyncio.shield(task)


async def _load(client: ChatwootClient) -> AvailableSources:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            accounts = _names_by_id((await client.profile()).list("accounts"))
            listed = await asyncio.gather(*(client.inboxes(account) for account in accounts))
    except ChatwootError as error:
        return AvailableSources(problem=error.message)
    except TimeoutError:
        return AvailableSources(problem=f"Chatwoot did not answer within {TIMEOUT_SECONDS:.0f} seconds.")
    inboxes = {
        (account, inbox): name
        for account, answer in zip(accounts, listed, strict=True)
        for inbox, name in _names_by_id(answer.list("payload")).items()
    }
    return AvailableSources(accounts, inboxes)


def _names_by_id(rows: list[Any]) -> dict[int, str]:
    valid = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), int)]
    return {row["id"]: str(row.get("name") or "") for row in valid}
