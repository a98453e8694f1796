"""Chatwoot throttles by windows of the clock and does not say so: clients wait, and not all equally long (C-12)."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import psycopg
import pytest

from proofdesk.chatwoot import retries, sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.serving import running
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)
WINDOW = 2


async def _list_inboxes(client: ChatwootClient, number: int) -> None:
    for _ in range(number):
        await client.inboxes(1)


@pytest.mark.fidelity(
    "Chatwoot",
    "The throttle counts by clock minute and address, and sends no Retry-After.",
    "Chatwoot 4.15.1, [C-12](chatwoot.md)",
)
async def test_two_workers_behind_one_address_finish_under_the_throttle(simulator: ChatwootSimulator):
    simulator.throttles.set("ip", 30, period=WINDOW)
    with running(create_app(simulator)) as url:
        workers = [ChatwootClient(url, simulator.admin_token, throttle_window=WINDOW) for _ in range(2)]
        try:
            await asyncio.gather(*(_list_inboxes(worker, 12) for worker in workers for _ in range(3)))
        finally:
            for worker in workers:
                await worker.aclose()
    refused = Counter(int(entry.at // WINDOW) for entry in simulator.journal.find() if entry.status == 429)
    assert refused and max(refused.values()) <= 6, "after a refusal, a worker sends nothing until the window ends"


async def test_wait_ends_soon_after_the_window_of_the_server():
    clock = retries.ServerClock()
    throttle = retries.Throttle(clock, 60)
    left = 60 - clock.now().timestamp() % 60
    waits = [throttle.close_window() for _ in range(50)]
    assert left - 1 < min(waits) and max(waits) <= left + 5
    assert max(waits) - min(waits) > 1, "each request waits a random moment longer"


async def test_no_other_request_is_sent_while_the_window_is_closed(simulator: ChatwootSimulator):
    simulator.faults.add("429", times=1)
    with running(create_app(simulator)) as url:
        client = ChatwootClient(url, simulator.admin_token, throttle_window=WINDOW)
        first = asyncio.create_task(client.inboxes(1))
        while simulator.journal.count() < 1:  # noqa: ASYNC110, the simulator runs in another thread
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await client.with_retry_timeout(30).inboxes(1)  # a copy knows of the refusal
        await first
        await client.aclose()
    refused, *answered = simulator.journal.find()
    assert {int(entry.at // WINDOW) for entry in answered}.isdisjoint({int(refused.at // WINDOW)})


async def test_client_with_little_time_reports_the_throttle(simulator: ChatwootSimulator, connect: Callable):
    simulator.faults.add("429")
    client = connect(simulator, patience=0.01)
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(ChatwootError, match="Chatwoot is throttling"):
            await client.inboxes(1)
    assert time.monotonic() - started < 5, "it does not wait for the end of the minute"


async def test_sync_completes_under_a_throttle(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator
):
    create_conversations(simulator, 60, 2)
    simulator.throttles.set("ip", 40, period=WINDOW)
    with running(create_app(simulator)) as url:
        client = ChatwootClient(url, simulator.admin_token, throttle_window=WINDOW)
        await sync.run(db, client, project, OPTIONS, ignore_progress)
        await client.aclose()
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert any(entry.status == 429 for entry in simulator.journal.find())
