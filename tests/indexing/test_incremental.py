"""One loop reads each stale conversation once, and updates only what is out of date."""

from collections.abc import Sequence

import psycopg
import pytest

from proofdesk.chatwoot import sync
from proofdesk.database.pool import Database
from proofdesk.indexing import incremental, terms, transcript_queries
from proofdesk.indexing.incremental import IndexingTotals, index_conversations
from proofdesk.indexing.transcript_queries import StaleConversation
from proofdesk.projects.scope import Scope
from tests.support.embedding import LIMITS
from tests.support.transcripts import Line, agent, edit_message, fetch_rows, store_messages

QUESTION = "Where is the turquoise raincoat that I ordered in February?"
ANSWER = "We have sent it today, and it will be with you before Friday."
CHUNKS = "SELECT xmin::text, message_id, text FROM rag_chunks ORDER BY 2"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The conversations of each read of messages."""
    recorded: list[list[int]] = []
    read = transcript_queries.public_messages

    async def recording(conn, scope, conversations: Sequence[StaleConversation]):
        recorded.append([conversation.conversation_id for conversation in conversations])
        return await read(conn, scope, conversations)

    monkeypatch.setattr(transcript_queries, "public_messages", recording)
    return recorded


async def test_chunks_and_terms_share_one_read(db: Database, project: Scope, reads: list[list[int]]):
    await store_messages(db, project, Line(QUESTION), agent(ANSWER))
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 2, 0)
    assert reads == [[1]]
    assert await fetch_rows(db, project, "SELECT count(*) FROM search_postings WHERE term LIKE 'turquois%%'") == [(1,)]
    assert await index_conversations(db, project, LIMITS) == IndexingTotals()
    assert reads == [[1]]


async def test_new_rules_of_terms_leave_chunks_alone(db: Database, project: Scope, monkeypatch: pytest.MonkeyPatch):
    await store_messages(db, project, Line(QUESTION))
    await index_conversations(db, project, LIMITS)
    chunks = await fetch_rows(db, project, CHUNKS)
    version = "SELECT content_version = indexed_version, content_version = chunked_version FROM cw_conversations"
    monkeypatch.setattr(terms, "VERSION", terms.VERSION + 1)
    assert (await index_conversations(db, project, LIMITS)).conversations == 1
    assert await fetch_rows(db, project, CHUNKS) == chunks
    assert await fetch_rows(db, project, version) == [(True, True)]


async def test_a_growing_conversation_keeps_its_rows(db: Database, project: Scope):
    await store_messages(db, project, *[Line(f"{QUESTION} Number {n}.") for n in range(30)])
    await index_conversations(db, project, LIMITS)
    chunks = await fetch_rows(db, project, CHUNKS)
    await store_messages(
        db, project, agent("Marmalade is sold out until Easter, would nougat do instead?"), first_id=200
    )
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 1, 0)
    assert (await fetch_rows(db, project, CHUNKS))[:30] == chunks


async def test_memory_is_bounded_by_messages(
    db: Database, project: Scope, monkeypatch: pytest.MonkeyPatch, reads: list[list[int]]
):
    monkeypatch.setattr(incremental, "PART_MESSAGES", 10)
    for number, length in enumerate((4, 5, 25, 3, 3), 1):
        await store_messages(db, project, *[Line(QUESTION)] * length, conversation_id=number)
    assert (await index_conversations(db, project, LIMITS)).conversations == 5
    assert sorted(number for part in reads for number in part) == [1, 2, 3, 4, 5]
    lengths = {1: 4, 2: 5, 3: 25, 4: 3, 5: 3}
    assert all(len(part) == 1 or sum(lengths[number] for number in part) <= 10 for part in reads)
    assert len(reads) > 1


async def test_an_unreadable_conversation_is_quarantined_alone(
    db: Database, project: Scope, monkeypatch: pytest.MonkeyPatch
):
    for number in range(1, 8):
        await store_messages(db, project, Line(QUESTION), conversation_id=number)
    read = transcript_queries.public_messages

    async def refuse_third(conn, scope, conversations):
        if any(conversation.conversation_id == 3 for conversation in conversations):
            raise psycopg.DataError("timestamp too large")
        return await read(conn, scope, conversations)

    with monkeypatch.context() as patch:
        patch.setattr(transcript_queries, "public_messages", refuse_third)
        assert (await index_conversations(db, project, LIMITS)).set_aside == 1
    assert (
        await fetch_rows(db, project, "SELECT DISTINCT conversation_id FROM rag_chunks WHERE conversation_id = 3") == []
    )
    quarantined = await sync.summarize_quarantine(db, project)
    assert {(item.entity, item.conversation_id) for item in quarantined.longest} == {("chunks", 3), ("terms", 3)}
    assert (await index_conversations(db, project, LIMITS)).conversations == 1
    assert (await sync.summarize_quarantine(db, project)).count == 0


async def test_an_edit_in_a_long_conversation_stores_one_chunk(db: Database, project: Scope):
    await store_messages(db, project, *[Line(f"{QUESTION} Number {n}.") for n in range(3000)])
    totals = await index_conversations(db, project, LIMITS)
    assert (totals.conversations, totals.stored) == (1, 3000)
    await edit_message(db, project, 2000, ANSWER)
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 1, 0)
