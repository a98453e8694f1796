"""A first sync, without and with network delay, and a sync without new messages.

It measures `sync.run` in a process of its own, so that its memory is known, and separately chunking and the keyword
index. The floors are fetching and discarding the same pages, and copying the same rows into tables with the same
indexes.
"""

import asyncio
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from bench import database, upstream
from bench.figures import Curve, Figure, Measurements
from proofdesk.audit.events import system_actor
from proofdesk.chatwoot import sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import open_database
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.settings import Settings

CONVERSATIONS = 2_000
GROWTH = (312, 3_125, 31_250)  # conversations: 10,000 messages to a million
CONCURRENCY, DELAY = 8, 0.05
_OPTIONS = sync.SyncOptions(default_account_id=1)
_LIMITS = ChunkLimits.from_settings(Settings())


@dataclass(frozen=True)
class SyncTimes:
    """Seconds and requests of a first sync and of a second one, and the peak memory in MB.

    `findable_seconds` is the time for chunking and indexing after the first sync.
    """

    messages: int
    seconds: float
    findable_seconds: float
    requests: int
    again_seconds: float
    again_requests: int
    peak: float


async def measure(quick: bool) -> Measurements:
    """Measure first sync, second sync, indexing and memory, and their growth."""
    size = 200 if quick else CONVERSATIONS
    measurements = Measurements()
    with database.fresh() as url:
        with upstream.running(size) as there:
            synced = _sync_in_subprocess(url, there)
            fetched, copied = await _fetch(there, size), _copy(url, "cw_messages")
            copied_index = _copy(url, "rag_chunks") + _copy(url, "search_postings")
        measurements.figures += [_first(synced, fetched, copied), _findable(synced, copied_index), _nothing_new(synced)]
    with database.fresh() as url, upstream.running(size, DELAY) as there:
        measurements.figures.append(_delayed(_sync_in_subprocess(url, there)))
    if not quick:
        grown = [_measure_growth(conversations) for conversations in GROWTH]
        measurements.figures.append(_memory(grown[-1]))
        measurements.curves += [
            Curve("sync", "Time of a first sync", "messages", "s", [(s.messages, s.seconds) for s in grown]),
            Curve(
                "findable",
                "Time to chunk and index after a first sync",
                "messages",
                "s",
                [(s.messages, s.findable_seconds) for s in grown],
            ),
            Curve("sync-memory", "Memory of a first sync", "messages", "MB", [(s.messages, s.peak) for s in grown]),
        ]
    return measurements


def _measure_growth(conversations: int) -> SyncTimes:
    with database.fresh() as url, upstream.running(conversations) as there:
        return _sync_in_subprocess(url, there)


def _first(synced: SyncTimes, fetched: float, copied: float) -> Figure:
    rate = synced.messages / synced.seconds
    return Figure(
        work=f"first sync of {synced.messages:,} messages",
        goal="≥ 12,000 messages/s",
        measured=f"{rate:,.0f} messages/s",
        floor=f"fetched and discarded {synced.messages / fetched:,.0f}/s, copied {synced.messages / copied:,.0f}/s",
        times=synced.seconds / (fetched + copied),
        met=rate >= 12_000,
        limit=40,
    )


def _findable(synced: SyncTimes, copied: float) -> Figure:
    return Figure(
        work="chunking and keyword index after a first sync",
        goal="",
        measured=f"{synced.messages / synced.findable_seconds:,.0f} messages/s",
        floor=f"chunks and postings copied {synced.messages / copied:,.0f}/s",
        times=synced.findable_seconds / copied,
        limit=20,
    )


def _delayed(synced: SyncTimes) -> Figure:
    least = DELAY * synced.requests / CONCURRENCY
    share = least / synced.seconds
    return Figure(
        work=f"the same with {DELAY * 1000:.0f} ms delay and {CONCURRENCY} concurrent requests",
        goal="≥ 80 % of the maximum with this delay",
        measured=f"{synced.messages / synced.seconds:,.0f} messages/s, {share:.0%}",
        floor=f"{synced.requests:,} requests, {least:.1f} s",
        times=1 / share,
        met=share >= 0.8,
        limit=8,
    )


def _nothing_new(synced: SyncTimes) -> Figure:
    return Figure(
        work="sync without new messages",
        goal="≤ 5 requests, ≤ 0.3 s",
        measured=f"{synced.again_requests} requests, {synced.again_seconds:.2f} s",
        met=synced.again_requests <= 5 and synced.again_seconds <= 0.3,
    )


def _memory(synced: SyncTimes) -> Figure:
    return Figure(
        work=f"peak memory of a first sync of {synced.messages:,} messages",
        goal="≤ 250 MB",
        measured=f"{synced.peak:.0f} MB",
        met=synced.peak <= 250,
    )


# The floors -----------------------------------------------------------------------------------------------------------


async def _fetch(there: str, conversations: int) -> float:
    """Return the seconds to fetch the pages of a first sync over plain connections, without parsing."""
    waiting = _pages(conversations)
    address = urlsplit(there)

    async def fetch() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for target in waiting:
            writer.write(f"GET /api/v1/accounts/1{target} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.rpartition(b"content-length:")[2]))
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(fetch() for _ in range(CONCURRENCY)))
    return time.perf_counter() - started


def _pages(conversations: int) -> Iterator[str]:
    for page in range(1, math.ceil(conversations / 25) + 2):
        yield f"/conversations?sort_by=created_at_desc&page={page}"
        yield f"/conversations?sort_by=created_at_asc&page={page}"
    for page in range(1, math.ceil(conversations / 15) + 2):
        yield f"/contacts?page={page}"
    for conversation in range(1, conversations + 1):
        yield f"/conversations/{conversation}/messages?after=1&before=9000000000000000000"


def _copy(url: str, table: str) -> float:
    """Return the seconds to copy the rows of a table into one with the same columns and indexes."""
    names = {"table": sql.Identifier(table), "copied": sql.Identifier(f"copied_{table}")}
    with psycopg.connect(url, autocommit=True) as conn:
        with conn.cursor().copy(sql.SQL("COPY {table} TO STDOUT (FORMAT binary)").format(**names)) as copy:
            rows = [bytes(block) for block in copy]
        conn.execute(sql.SQL("CREATE TABLE {copied} (LIKE {table} INCLUDING ALL)").format(**names))
        started = time.perf_counter()
        with conn.cursor().copy(sql.SQL("COPY {copied} FROM STDIN (FORMAT binary)").format(**names)) as copy:
            for block in rows:
                copy.write(block)
        return time.perf_counter() - started


# The process that syncs -----------------------------------------------------------------------------------------------


def _sync_in_subprocess(url: str, upstream_url: str) -> SyncTimes:
    done = subprocess.run(
        [sys.executable, "-m", "bench.sync", url, upstream_url], capture_output=True, text=True, check=True
    )
    return SyncTimes(**json.loads(done.stdout))


async def _sync(url: str, upstream_url: str) -> SyncTimes:
    client = ChatwootClient(upstream_url, "token", concurrency=CONCURRENCY)
    async with open_database(url, 8) as db:
        project = await new_projects.create(db, system_actor(), "Synced")
        project_scope = await scope.enter(db, system_actor(), project.id)
        before, began = upstream.requests(upstream_url), time.perf_counter()
        result = await sync.run(db, client, project_scope, _OPTIONS, ignore_progress)
        first, ended = upstream.requests(upstream_url) - before, time.perf_counter()
        seconds = ended - began
        await sync.run(db, client, project_scope, _OPTIONS, ignore_progress)
        again = time.perf_counter() - ended
        requests, ended = upstream.requests(upstream_url) - before - first, time.perf_counter()
        await index_conversations(db, project_scope, _LIMITS)
        findable = time.perf_counter() - ended
    await client.aclose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return SyncTimes(result.counts.messages, seconds, findable, first, again, requests, peak)


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_sync(*sys.argv[1:3])))))
