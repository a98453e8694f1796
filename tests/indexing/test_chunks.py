import asyncio

import pytest

from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.indexing import incremental
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import IndexingTotals, index_conversations
from proofdesk.projects.scope import Scope
from tests.support.embedding import LIMITS
from tests.support.projects import new_project
from tests.support.transcripts import Line, agent, edit_message, fetch_rows, store_messages

LONG = "Hello, I ordered the blue coat last week and it has not come yet."
REPLY = "I am sorry to hear that, Ivan. It left our house on Monday."


async def texts(db: Database, scope: Scope) -> list[str]:
    return [
        text for (text,) in await fetch_rows(db, scope, "SELECT text FROM rag_chunks ORDER BY created_at, chunk_index")
    ]


async def test_new_chunks_are_pending(db: Database, project: Scope):
    await store_messages(db, project, Line(LONG), agent(REPLY), Line("Thanks!"))
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 2, 0)
    stored = await fetch_rows(
        db, project, "SELECT message_id, covers, sender_type, sender_types, embedding_status FROM rag_chunks ORDER BY 1"
    )
    assert stored == [
        (100, [100], "contact", ["contact"], "pending"),
        (101, [101, 102], "agent", ["agent", "contact"], "pending"),
    ]


async def test_only_public_messages_make_chunks(db: Database, project: Scope):
    await store_messages(
        db,
        project,
        Line(LONG),
        agent("They are right, the parcel was lost. Do not tell them.", private=True),
        Line("Anna assigned this conversation to herself today.", "system", None, "activity"),
        Line("Thank you for your message, we will answer soon.", "system", None, "template"),
        Line("This message was deleted, says Chatwoot in its place.", deleted=True),
    )
    await index_conversations(db, project, LIMITS)
    assert await texts(db, project) == [LONG]


async def test_a_survey_comment_is_attributed_to_the_contact(db: Database, project: Scope):
    survey = {"submitted_values": {"csat_survey_response": {"rating": 5, "feedback_message": "Very fast, thank you!"}}}
    rate = Line("Please rate us", "system", None, "template", "input_csat", content_attributes=survey)
    await store_messages(db, project, rate)
    await index_conversations(db, project, LIMITS)
    assert await fetch_rows(db, project, "SELECT text, sender_type FROM rag_chunks") == [
        ("Very fast, thank you!", "contact")
    ]


async def test_only_the_new_part_of_an_email_makes_chunks(db: Database, project: Scope):
    def mail(content: str, **email: object) -> Line:
        return Line(content, content_type="incoming_email", content_attributes={"email": email})

    quoted = "I would like to send the coat back, please.\n> What can we do for you?"
    new = "I would like to send the coat back, please."
    plain = mail(quoted, subject="Return", text_content={"reply": quoted, "quoted": new})
    html = mail(quoted, text_content={"quoted": " "}, html_content={"quoted": new})
    neither = mail(quoted, text_content={}, html_content={})
    await store_messages(db, project, plain, html, neither)
    await index_conversations(db, project, LIMITS)
    assert await texts(db, project) == [new, new, quoted]
    ((context,),) = await fetch_rows(db, project, "SELECT context FROM rag_chunks WHERE message_id = 100")
    assert "Return" in context


async def test_a_late_message_is_ordered_by_its_time(db: Database, project: Scope):
    await store_messages(db, project, agent(REPLY), Line("Yes"), first_id=200)
    await store_messages(db, project, Line(LONG), first_id=110)
    await index_conversations(db, project, LIMITS)
    assert await texts(db, project) == [LONG, f"{REPLY}\nYes"]


async def test_indexing_again_changes_no_rows(db: Database, project: Scope):
    await store_messages(db, project, Line(LONG), agent(REPLY))
    await index_conversations(db, project, LIMITS)
    before = await fetch_rows(db, project, "SELECT ctid, xmin, * FROM rag_chunks ORDER BY message_id")
    assert await index_conversations(db, project, LIMITS) == IndexingTotals()
    await store_messages(db, project)  # a new version of the same content
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 0, 0)
    assert await fetch_rows(db, project, "SELECT ctid, xmin, * FROM rag_chunks ORDER BY message_id") == before


async def test_only_changed_chunks_become_pending(db: Database, project: Scope, owner_conn):
    await store_messages(db, project, Line(LONG), Line(LONG + " Order 17."))
    await index_conversations(db, project, LIMITS)
    owner_conn.execute("UPDATE rag_chunks SET embedding_status = 'ready', embedding_model = 'm'")
    await edit_message(db, project, 101, LONG + " Order 18.")
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 1, 0)
    stored = await fetch_rows(db, project, "SELECT message_id, embedding_status FROM rag_chunks ORDER BY 1")
    assert stored == [(100, "ready"), (101, "pending")]


async def test_chunks_of_a_deleted_message_are_deleted(db: Database, project: Scope):
    await store_messages(db, project, Line(" ".join([LONG] * 40)), agent(REPLY))
    await index_conversations(db, project, LIMITS)
    await edit_message(db, project, 100, "This message was deleted", deleted=True)
    totals = await index_conversations(db, project, LIMITS)
    assert totals.removed == 3
    assert await texts(db, project) == [REPLY]


async def test_a_shorter_text_deletes_surplus_chunks(db: Database, project: Scope):
    await store_messages(db, project, Line(" ".join([LONG] * 40)))
    await index_conversations(db, project, LIMITS)
    await edit_message(db, project, 100, LONG)
    assert await index_conversations(db, project, LIMITS) == IndexingTotals(1, 1, 2)


async def test_other_limits_rebuild_all_chunks(db: Database, project: Scope):
    await store_messages(db, project, Line(" ".join([LONG] * 10)))
    await index_conversations(db, project, LIMITS)
    assert len(await texts(db, project)) == 1
    await index_conversations(db, project, ChunkLimits(200, 30))
    assert len(await texts(db, project)) == 4


async def test_two_workers_share_the_conversations(db: Database, project: Scope, monkeypatch):
    monkeypatch.setattr(incremental, "BATCH", 5)
    for number in range(1, 41):
        await store_messages(db, project, Line(LONG), conversation_id=number)
    totals = await asyncio.gather(*[index_conversations(db, project, LIMITS) for _ in range(2)])
    assert sum(t.conversations for t in totals) == sum(t.stored for t in totals) == 40
    assert len(await texts(db, project)) == 40


async def test_a_new_version_is_indexed_again(db: Database, project: Scope):
    await store_messages(db, project, Line(LONG))
    await index_conversations(db, project, LIMITS)
    await store_messages(db, project, agent(REPLY), first_id=101)
    assert (await index_conversations(db, project, LIMITS)).conversations == 1
    assert await texts(db, project) == [LONG, REPLY]


async def test_progress_counts_conversations(db: Database, project: Scope):
    reports = []
    await store_messages(db, project, Line(LONG))
    await index_conversations(db, project, LIMITS, lambda *report: reports.append(report))
    assert reports == [(1, 1, "conversations indexed")]


async def test_a_file_name_with_a_nul_is_indexed(db: Database, project: Scope):
    odd = {"file_size": 3, "data_url": "https://files.example.com/invoice%00of%ff%20" + "may" * 10 + ".pdf"}
    await store_messages(db, project, Line(None, attachments=[odd]), Line(LONG))
    await index_conversations(db, project, LIMITS)
    assert any(text.startswith("invoiceof") for text in await texts(db, project))


async def test_a_failing_batch_stops_the_concurrent_one(db: Database, project: Scope, monkeypatch):
    monkeypatch.setattr(incremental, "BATCH", 1)
    for number in range(1, 41):
        await store_messages(db, project, Line(LONG), conversation_id=number)

    def fail_third(done: int, *_: object) -> None:
        if done == 3:
            raise Unavailable("The disk is full.")

    with pytest.raises(Unavailable, match="disk is full"):
        await index_conversations(db, project, LIMITS, fail_third)
    count = len(await texts(db, project))
    assert 3 <= count <= 4, "the concurrent batch may be stored, and no more"
    assert (await index_conversations(db, project, LIMITS)).conversations == 40 - count


async def test_other_projects_are_not_touched(db: Database, project: Scope):
    other = await new_project(db, "Other")
    await store_messages(db, other, Line(LONG))
    assert await index_conversations(db, project, LIMITS) == IndexingTotals()
    await index_conversations(db, other, LIMITS)
    assert await texts(db, project) == []
