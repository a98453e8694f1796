"""What Chatwoot would let a project read: the accounts of the token, and the inboxes in them by name."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError

KEPT = 20.0  # seconds, so that a page of many projects asks once
PATIENCE = 4.0  # seconds that a person waits at most
_ONE_TRY = 1e-6

_asked: WeakKeyDictionary[ChatwootClient, tuple[float, "asyncio.Task[Offers]"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Offers:
    """Names of accounts by id, and of inboxes by account and id. `problem` tells why there may be none."""

    accounts: dict[int, str] = field(default_factory=dict)
    inboxes: dict[tuple[int, int], str] = field(default_factory=dict)
    problem: str = ""


async def of(client: ChatwootClient | None) -> Offers:
    """What can be read, up to `KEPT` seconds old. Never fails: what is in the way is told."""
    if client is None:
        return Offers(problem="Chatwoot is not configured: set CHATWOOT_BASE_URL and CHATWOOT_API_TOKEN.")
    started, task = _asked.get(client, (0.0, None))
    if task is None or task.get_loop() is not asyncio.get_running_loop() or time.monotonic() - started > KEPT:
        task = asyncio.create_task(_ask(client.with_retry_timeout(_ONE_TRY)))
        _asked[client] = (time.monotonic(), task)
    return await asyncio.shield(task)


async def _ask(client: ChatwootClient) -> Offers:
    try:
        async with asyncio.timeout(PATIENCE):
            accounts = _named((await client.profile()).list("accounts"))
            listed = await asyncio.gather(*(client.inboxes(account) for account in accounts))
    except ChatwootError as error:
        return Offers(problem=error.message)
    except TimeoutError:
        return Offers(problem=f"Chatwoot did not answer within {PATIENCE:.0f} seconds.")
    inboxes = {
        (account, inbox): name
        for account, answer in zip(accounts, listed, strict=True)
        for inbox, name in _named(answer.list("payload")).items()
    }
    return Offers(accounts, inboxes)


def _named(rows: list[Any]) -> dict[int, str]:
    valid = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), int)]
    return {row["id"]: str(row.get("name") or "") for row in valid}
