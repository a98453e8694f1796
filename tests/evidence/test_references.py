"""References are validated, cited, resolved and searched; snippets are deleted with their message."""

from typing import Any

import psycopg
import pytest

from proofdesk.audit import events
from proofdesk.audit.events import system_actor
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.evidence import references
from proofdesk.evidence.references import InvalidEvidenceRef
from proofdesk.projects.scope import Scope
from tests.support import stories
from tests.support.audit_events import list_actions, newest_event
from tests.support.projects import new_project


@pytest.fixture
async def told(db: Database, project: Scope, owner_conn: psycopg.Connection) -> Scope:
    """The project has conversations with chunks."""
    stories.insert_conversations(owner_conn, project.project_id)
    await stories.make_searchable(db, project.project_id)
    return project


async def cite(db: Database, scope: Scope, *refs: Any) -> None:
    async with db.scoped(scope) as conn:
        citations = await references.cite(conn, scope, list(refs))
        await events.record(conn, system_actor(), "test.cited", "thing", 1, scope=scope, evidence_refs=citations)


def message(scope: Scope, number: int = 10103) -> dict[str, Any]:
    return {"source": "cw_messages", "ref": ids.message(scope.project_id, 7, number)}


async def test_each_type_of_reference_is_validated_and_stored(db: Database, told: Scope):
    conversation = {"source": "cw_conversations", "ref": ids.conversation(told.project_id, 7, 101)}
    async with db.scoped(told) as conn:
        rows = await (await conn.execute("SELECT message_id, chunk_index FROM rag_chunks LIMIT 1")).fetchall()
    chunk = {"source": "rag_chunks", "ref": ids.chunk(told.project_id, 7, *rows[0])}
    outside = {"source": "external", "ref": "https://example.com/1", "snippet": "A letter.", "meta": {"page": 3}}
    await cite(db, told, message(told), conversation, chunk, outside)
    found = {item.source_type: item for item in await references.search(db, told, "", 10)}
    assert found.keys() == {"message", "conversation", "chunk", "external"}
    assert (found["message"].conversation_id, found["message"].contact_id) == (101, 11)
    assert "would like a refund" in (found["message"].snippet or "")
    assert found["chunk"].source_table == "rag_chunks" and found["chunk"].snippet
    assert (found["external"].source_table, found["external"].payload) == (None, {"meta": {"page": 3}})


@pytest.mark.parametrize(
    "wrong",
    [
        "text", None, {}, {"source": "cw_messages"}, {"source": "cw_contacts", "ref": "x"},
        {"source": "cw_messages", "ref": "cwmsg:nonsense"}, {"source": "cw_messages", "ref": 5},
        {"source": "external", "ref": ""}, {"source": "external", "ref": "x" * 501},
        {"source": "external", "ref": "a\0"},
        {"source": "external", "ref": "x", "snippet": 1}, {"source": "external", "ref": "x", "meta": []},
        {"source": "external", "ref": "x", "meta": {"k": "v" * 5000}},
    ],
)  # fmt: skip
async def test_malformed_reference_is_refused(db: Database, project: Scope, wrong: Any):
    with pytest.raises(InvalidEvidenceRef):
        await cite(db, project, wrong)


async def test_unknown_reference_is_refused_without_side_effects(
    db: Database, told: Scope, owner_conn: psycopg.Connection
):
    other = await new_project(db, "Other")
    stories.insert_conversations(owner_conn, other.project_id)
    chunk = {"source": "rag_chunks", "ref": message(told)["ref"] + "#99"}
    without = {"source": "rag_chunks", "ref": message(told)["ref"]}
    for wrong in (message(told, 999), message(other), chunk, without, chunk | {"source": "cw_messages"}):
        with pytest.raises(InvalidEvidenceRef) as refused:
            await cite(db, told, message(told), wrong)
        assert refused.value.code == "invalid_evidence_ref" and refused.value.details == {"index": 1}
    assert "test.cited" not in list_actions(owner_conn)
    assert await references.search(db, told, "", 10) == []


async def test_cited_evidence_is_found_by_words(db: Database, told: Scope):
    await cite(
        db,
        told,
        message(told),
        message(told, 10100),
        {"source": "external", "ref": "файл-7", "snippet": "Счёт оплачен"},
    )
    for question, count in (("refund", 1), ("refunds", 1), ("deliv", 2), ("refund delivery", 1), ("оплачен", 1),
                            ("4471", 1), ("xylophone", 0), ("' & | ! ( :* \\", 0), ("", 3), ("the", 1)):  # fmt: skip
        assert len(await references.search(db, told, question, 10)) == count, question
    assert len(await references.search(db, told, "deliv", 1)) == 1


async def test_evidence_of_another_project_is_not_found(db: Database, told: Scope):
    other = await new_project(db, "Other")
    await cite(db, told, message(told))
    assert await references.search(db, other, "refund", 10) == []
    assert await references.search(db, other, "", 10) == []


async def test_citing_twice_stores_one_item(db: Database, told: Scope):
    for _ in range(3):
        await cite(db, told, message(told), message(told))
    assert len(await references.search(db, told, "", 10)) == 1


async def test_chain_stores_no_message_text(db: Database, told: Scope, owner_conn: psycopg.Connection):
    await cite(db, told, message(told) | {"snippet": "I would like a refund", "meta": {"why": "asked"}})
    assert newest_event(owner_conn)["evidence_refs"] == [message(told) | {"meta": {"why": "asked"}}]


@pytest.mark.parametrize(
    "erase",
    [
        "UPDATE cw_messages SET deleted = true, content = 'gone' WHERE message_id = 10103",
        "DELETE FROM cw_messages WHERE message_id = 10103",
        "DELETE FROM cw_conversations WHERE conversation_id = 101",
    ],
    ids=["message emptied", "message gone", "conversation gone"],
)
async def test_snippet_is_removed_with_its_message(
    db: Database, told: Scope, owner_conn: psycopg.Connection, erase: str
):
    await cite(db, told, message(told), message(told, 10201))
    async with db.scoped(told) as conn:
        await conn.execute(erase)  # type: ignore[arg-type]
    kept = {item.message_id: item.snippet for item in await references.search(db, told, "", 10)}
    assert kept[10103] is None and kept[10201]
    assert await references.search(db, told, "refund", 10) == []


async def test_deleted_message_can_be_cited_without_snippet(db: Database, told: Scope):
    async with db.scoped(told) as conn:
        await conn.execute("UPDATE cw_messages SET deleted = true WHERE message_id = 10103")
    await cite(db, told, message(told) | {"snippet": "I would like a refund"})
    assert [item.snippet for item in await references.search(db, told, "", 10)] == [None]


async def test_too_many_references_are_refused(db: Database, project: Scope):
    with pytest.raises(InvalidEvidenceRef, match="At most 50"):
        await cite(db, project, *({"source": "external", "ref": f"{n}"} for n in range(51)))
