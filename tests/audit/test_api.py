"""Audit events and evidence over HTTP: visibility, filters and verification."""

from typing import Any

import psycopg
import pytest

from proofdesk.audit import events
from proofdesk.audit.events import system_actor
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.evidence import references
from proofdesk.projects import scope
from tests.support import stories
from tests.support.audit_events import tamper_with_events
from tests.support.server import Cast, Person


@pytest.fixture
async def told(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    """The project of the member has an event that cites a message, and every user has signed in once."""
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    inside = await scope.enter(db, system_actor("req-5"), cast.member.project_id)
    refs = [{"source": "cw_messages", "ref": ids.message(inside.project_id, 7, 10103), "meta": {"page": 1}}]
    async with db.scoped(inside) as conn:
        citations = await references.cite(conn, inside, refs)
        await events.record(
            conn, inside.actor, "outbound.approve", "outbound", 42, scope=inside, evidence_refs=citations
        )
    for person in (cast.owner, cast.member, cast.stranger):
        async with db.transaction() as conn:
            who = events.Actor(person.username, person.id, False)
            await events.record(conn, who, "auth.login", "user", person.id)
    return cast


async def asked(person: Person, **query: Any) -> dict[str, Any]:
    answer = await person.client.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_events_have_the_fields_of_the_contract(told: Cast):
    [event] = (await asked(told.member, action="outbound.approve"))["events"]
    assert event.keys() >= {
        "id", "actor_username", "action", "entity_type", "entity_id", "status", "request_id", "payload",
        "evidence_refs", "created_at",
    }  # fmt: skip
    assert (event["actor_username"], event["entity_id"], event["request_id"]) == ("system", "42", "req-5")
    assert event["created_at"].endswith("Z")
    [ref] = event["evidence_refs"]
    assert ref["source"] == "cw_messages" and "would like a refund" in ref["snippet"] and ref["meta"] == {"page": 1}


async def test_filters_and_pages(told: Cast):
    everything = await asked(told.member)
    assert everything["total"] == len(everything["events"]) == 4
    assert [e["id"] for e in everything["events"]] == sorted((e["id"] for e in everything["events"]), reverse=True)
    page = await asked(told.member, limit=2, offset=1)
    assert page["events"] == everything["events"][1:3] and page["total"] == 4
    assert [e["action"] for e in (await asked(told.member, action="project.*"))["events"]] == [
        "project.selected",
        "project.created",
    ]
    assert (await asked(told.member, entity_type="outbound", entity_id="42"))["total"] == 1
    assert (await asked(told.member, action="nothing.such"))["total"] == 0
    assert (await asked(told.member, action="", entity_id=""))["total"] == 4


async def test_users_see_their_own_logins_and_the_owner_all(told: Cast):
    await told.owner.client.post(f"/projects/{told.member.project_id}/select")
    logins = {
        person.username: {e["actor_username"] for e in (await asked(person, action="auth.login"))["events"]}
        for person in (told.owner, told.member, told.stranger)
    }
    assert logins == {
        "owner": {"owner", "member", "stranger"},
        "member": {"member"},
        "stranger": {"stranger"},
    }


async def test_stranger_sees_nothing_of_the_project(told: Cast):
    seen = await asked(told.stranger)
    assert {e["project_id"] for e in seen["events"]} == {None, str(told.stranger.project_id)}
    assert (await asked(told.stranger, entity_type="outbound"))["total"] == 0
    found = (await told.stranger.client.get("/evidence/search?q=refund")).json()
    assert found["evidence"] == []
    assert (await told.owner.client.get("/audit")).json()["error"] == "active_project_required"
    assert (await told.owner.client.get("/evidence/search")).json()["error"] == "active_project_required"


async def test_evidence_is_found(told: Cast):
    project = told.member.project_id
    [found] = (await told.member.client.get("/evidence/search?q=refund")).json()["evidence"]
    assert found | {"id": 0, "created_at": ""} == {
        "id": 0,
        "source_type": "message",
        "source_table": "cw_messages",
        "source_pk": f"cwmsg:{project}:7:10103",
        "conversation_global_id": f"cw:{project}:7:101",
        "message_global_id": f"cwmsg:{project}:7:10103",
        "contact_global_id": f"cwc:{project}:7:11",
        "snippet": "It is Tuesday evening, still no delivery. I would like a refund, please.",
        "payload": {"meta": {"page": 1}},
        "created_at": "",
    }
    assert len((await told.member.client.get("/evidence/search")).json()["evidence"]) == 1
    assert (await told.member.client.get(f"/evidence/search?q={'x' * 1001}")).status_code == 400


async def test_verification_names_the_first_wrong_event(told: Cast, owner_conn: psycopg.Connection):
    proof = (await told.member.client.get("/audit/verify")).json()["proof"]
    assert (proof["events"], proof["fault"], proof["event_id"]) == (3, "", None) and len(proof["last_hash"]) == 64
    tamper_with_events(
        owner_conn, "UPDATE audit_events SET actor_username = 'member' WHERE action = 'outbound.approve'"
    )
    proof = (await told.member.client.get("/audit/verify")).json()["proof"]
    [event] = (await asked(told.member, action="outbound.approve"))["events"]
    assert proof["event_id"] == event["id"] and "was changed" in proof["fault"]
