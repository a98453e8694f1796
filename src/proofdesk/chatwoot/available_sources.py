"""The accounts and inboxes that the token can read, by name, for the list of sources that can be bound."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from proofdesk.chatwoot import parsing
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError

CACHE_SECONDS = 20.0  # so that a page with many projects sends one request
TIMEOUT_SECONDS = 4.0  # that a page waits at most

_cache: WeakKeyDictionary[ChatwootClient, tuple[float, "asyncio.Task[AvailableSources]"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class AvailableSources:
    """Names of accounts by id, and of inboxes by account and id. `problem` explains why there may be none."""

    accounts: dict[int, str] = field(default_factory=dict)
    inboxes: dict[tuple[int, int], str] = field(default_factory=dict)
    problem: str = ""


async def load_available_sources(client: ChatwootClient | None) -> AvailableSources:
    """Return what the token can read, at most `CACHE_SECONDS` old. Never raises: errors become `problem`."""
    if client is None:
        return AvailableSources(problem="Chatwoot is not configured: set CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN.")
    started, task = _cache.get(client, (0.0, None))
    is_old = time.monotonic() - started > CACHE_SECONDS
    if task is None or task.get_loop() is not asyncio.get_running_loop() or is_old:
        task = asyncio.create_task(_load(client.with_max_attempts(1)))
        _cache[client] = (time.monotonic(), task)
    return await asyncio.shield(task)


async def _load(client: ChatwootClient) -> AvailableSources:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            accounts = _names_by_id((await client.profile()).list("accounts"))
            responses = await asyncio.gather(*(client.inboxes(account) for account in accounts))
    except ChatwootError as error:
        return AvailableSources(problem=error.message)
    except TimeoutError:
        return AvailableSources(problem=f"Chatwoot did not answer within {TIMEOUT_SECONDS:.0f} seconds.")
    inboxes = {
        (account, inbox): name
        for account, response in zip(accounts, responses, strict=True)
        for inbox, name in _names_by_id(response.list("payload")).items()
    }
    return AvailableSources(accounts, inboxes)


def _names_by_id(rows: list[Any]) -> dict[int, str]:
    return {row["id"]: str(row.get("name") or "") for row in parsing.objects_with_id(rows)}
