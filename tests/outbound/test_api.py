"""Outbound over HTTP: a server of two processes and a simulated Telegram."""

import asyncio
from typing import Any

import psycopg
import pytest

from proofdesk_simulators.telegram import TelegramSimulator
from tests.support import stories
from tests.support.outbound_requests import draft, draft_and_approve, draft_body, error_code
from tests.support.server import Cast

NAMES = ("kill_switch", "opt_out", "suppression", "stop_on_reply", "freshness", "frequency_cap", "state", "provider")


async def test_message_goes_from_draft_to_chat(cast: Cast, chats: TelegramSimulator):
    client = cast.member.client
    message = await draft(cast.member)
    assert {"id", "project_id", "account_scope_id", "channel", "recipient_ref", "payload", "evidence_refs", "status",
            "idempotency_key", "dedupe_key", "retry_count", "max_retries", "next_attempt_at", "approved_by",
            "approved_at", "sent_at", "last_error", "created_at", "updated_at", "created_by",
            "content_hash"} <= message.keys()  # fmt: skip
    assert (message["status"], message["created_by"], message["max_retries"]) == ("draft", "member", 5)
    looked = (await client.get(f"/outbound/{message['id']}/preflight")).json()
    assert [g["gate"] for g in looked["gates"]] == list(NAMES)
    assert [g["gate"] for g in looked["gates"] if not g["pass"]] == ["state"] and looked["sendable_at"] is None
    await client.post(f"/outbound/{message['id']}/approve")
    looked = (await client.get(f"/outbound/{message['id']}/preflight")).json()
    assert all(g["pass"] for g in looked["gates"]) and looked["sendable_at"]
    sent = (await client.post(f"/outbound/{message['id']}/send")).json()["outbound"]
    assert (sent["status"], sent["approved_by"]) == ("sent", "member")
    assert [m.text for m in chats.sent] == ["Hello"]
    details = (await client.get(f"/outbound/{message['id']}")).json()
    assert [a["outcome"] for a in details["attempts"]] == ["sent"]
    assert [e["action"] for e in details["history"]] == ["outbound.draft", "outbound.approve", "outbound.send"]
    assert (details["policy"]["sent_in_window"], details["policy"]["frequency_cap"]) == (1, 3)
    assert await error_code(cast.member, f"/outbound/{message['id']}/send") == (409, "outbound_invalid_state")


async def test_fifty_identical_requests_create_one_message(cast: Cast, owner_conn: psycopg.Connection):
    answers = await asyncio.gather(*(cast.member.client.post("/outbound/draft", json=draft_body()) for _ in range(50)))
    assert sorted({a.status_code for a in answers}) == [200, 201]
    assert sum(a.status_code == 201 for a in answers) == 1
    assert len({a.json()["outbound"]["id"] for a in answers}) == 1
    assert owner_conn.execute("SELECT count(*) FROM outbound_messages").fetchone() == (1,)


async def test_ten_simultaneous_sends_send_once(cast: Cast, chats: TelegramSimulator):
    message = await draft_and_approve(cast.member)
    path = f"/outbound/{message['id']}/send"
    answers = await asyncio.gather(*(cast.member.client.post(path) for _ in range(10)))
    assert sorted(a.status_code for a in answers) == [200, *[409] * 9]
    assert len(chats.sent) == 1


async def test_idempotency_and_dedupe_keys_are_enforced(cast: Cast):
    message = await draft(cast.member, dedupe_key="once")
    other = draft_body(payload={"text": "Something else"})
    assert await error_code(cast.member, "/outbound/draft", other) == (409, "idempotency_conflict")
    response = await cast.member.client.post("/outbound/draft", json=draft_body("other", dedupe_key="once"))
    assert (response.status_code, response.json()["error"]) == (409, "duplicate_outbound")
    assert response.json()["details"] == {"id": message["id"]}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"channel": "pigeon"}, "invalid_channel"),
        ({"channel": 7}, "invalid_channel"),
        ({"recipient_ref": None}, "invalid_recipient_ref"),
        ({"recipient_ref": "@ada"}, "invalid_recipient_ref"),
        ({"idempotency_key": ""}, "idempotency_key_required"),
        ({"payload": []}, "invalid_payload"),
        ({"payload": {"text": ""}}, "invalid_payload"),
        ({"max_retries": 21}, "invalid_request"),
        ({"scheduled_at": "tomorrow"}, "invalid_request"),
        ({"evidence_refs": [{"source": "cw_messages", "ref": "nothing"}]}, "invalid_evidence_ref"),
    ],
)
async def test_invalid_draft_has_its_error_code(cast: Cast, wrong: dict[str, Any], code: str):
    assert await error_code(cast.member, "/outbound/draft", draft_body(**wrong)) == (400, code)


async def test_each_gate_has_its_error_code(cast: Cast, chats: TelegramSimulator):
    client = cast.member.client

    async def allow(**change: Any) -> dict[str, Any]:
        body = {"contact_global_id": "42", "channel": "telegram", **change}
        response = await client.post("/outbound/opt-out", json=body)
        assert response.status_code == 200, response.text
        return response.json()["policy"]

    assert (await allow(opted_out=True))["opted_out"] is True
    blocked = await draft_and_approve(cast.member, "1")
    assert await error_code(cast.member, f"/outbound/{blocked['id']}/send") == (409, "outbound_blocked_opt_out")
    assert await error_code(cast.member, f"/outbound/{blocked['id']}/redraft") == (409, "outbound_invalid_state")
    policy = await allow(opted_out=False, reason="They asked for it", frequency_cap=1)
    assert (policy["opted_out"], policy["frequency_cap"], policy["stop_on_reply"]) == (False, 1, True)
    again = await client.post(f"/outbound/{blocked['id']}/redraft")
    assert again.json()["outbound"]["status"] == "draft"
    stopped = await draft_and_approve(cast.member, "2")
    await allow(mark_replied=True)
    assert await error_code(cast.member, f"/outbound/{stopped['id']}/send") == (409, "outbound_blocked_stop_on_reply")
    first, second = await draft_and_approve(cast.member, "3"), await draft_and_approve(cast.member, "4")
    assert (await client.post(f"/outbound/{first['id']}/send")).status_code == 200
    capped = await client.post(f"/outbound/{second['id']}/send")
    assert (capped.status_code, capped.json()["error"]) == (429, "frequency_cap_reached")
    assert 86_000 < int(capped.headers["retry-after"]) <= 86_401
    assert len(chats.sent) == 1
    listed = (await client.get("/outbound/policies?contact_global_id=42&channel=telegram&opted_out=false")).json()
    assert (listed["total"], listed["policies"][0]["contact_global_id"]) == (1, "42")


async def test_refusal_of_the_channel_is_reported_and_can_be_retried(cast: Cast, chats: TelegramSimulator):
    chats.fail("blocked", method="sendMessage")
    message = await draft_and_approve(cast.member)
    assert await error_code(cast.member, f"/outbound/{message['id']}/send") == (502, "outbound_send_failed")
    body = (await cast.member.client.get(f"/outbound/{message['id']}")).json()["outbound"]
    assert body["status"] == "failed" and body["last_error"].startswith("provider_error: ")
    chats.faults.clear()
    assert (await cast.member.client.post(f"/outbound/{message['id']}/retry")).status_code == 200
    done = await cast.member.client.post("/outbound/process", json={"limit": 5})
    assert done.json()["result"] == {
        "processed": 1, "sent": 1, "failed": 0, "blocked": 0, "skipped": 0, "swept": 0,
    }  # fmt: skip


async def test_unconfigured_channel_is_reported(cast: Cast):
    payload = {"subject": "News", "text": "Hello"}
    message = await draft_and_approve(cast.member, channel="email", recipient_ref="a@example.com", payload=payload)
    response = await cast.member.client.post(f"/outbound/{message['id']}/send")
    assert (response.status_code, response.json()["error"]) == (502, "outbound_send_failed")
    assert response.json()["details"]["last_error"] == "provider_not_configured"
    body = (await cast.member.client.get(f"/outbound/{message['id']}")).json()
    assert (body["outbound"]["status"], body["attempts"]) == ("approved", [])


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"opted_out": "yes"}, {"frequency_cap": 0}, {"frequency_cap": 201}, {"frequency_window_hours": 721},
        {"opted_out": True, "contact_global_id": ""}, {"opted_out": True, "contact_global_id": None},
        {"opted_out": True, "contact_global_id": "nobody"}, {"stop_on_reply": True, "evidence_refs": 7},
    ],
)  # fmt: skip
async def test_invalid_opt_out_is_refused(cast: Cast, wrong: dict[str, Any]):
    body = {"contact_global_id": "42", "channel": "telegram"} | wrong
    assert await error_code(cast.member, "/outbound/opt-out", body) == (400, "invalid_opt_out_payload")
    assert await error_code(cast.member, "/outbound/opt-out", body | {"channel": "x"}) == (400, "invalid_channel")


async def test_messages_are_listed_and_filtered(cast: Cast, owner_conn: psycopg.Connection):
    client = cast.member.client
    message = [await draft(cast.member, f"k{n}", payload={"text": f"Number {n}"}) for n in range(3)]
    await client.post(f"/outbound/{message[0]['id']}/cancel")
    assert [m["id"] for m in (await client.get("/outbound")).json()["outbound"]] == [m["id"] for m in message[::-1]]
    for query, expected in (
        ("status=cancelled", [0]), ("q=number%202", [2]), ("channel=email", []), ("q=%25", []), ("status=nonsense", []),
    ):  # fmt: skip
        page = (await client.get(f"/outbound?{query}")).json()
        assert [m["id"] for m in page["outbound"]] == [message[n]["id"] for n in expected], query
        assert page["total"] == len(expected)
    cut = (await client.get("/outbound?limit=1&offset=1")).json()
    assert ([m["id"] for m in cut["outbound"]], cut["total"]) == ([message[1]["id"]], 3)
    status = (await client.get("/jobs/status")).json()
    assert status["backlog"]["outbound_due"] == 0
    await client.post(f"/outbound/{message[1]['id']}/approve")
    assert (await client.get("/jobs/status")).json()["backlog"]["outbound_due"] == 1


async def test_messages_of_another_project_are_not_found(cast: Cast):
    message = await draft_and_approve(cast.member)
    for step in ("approve", "send", "cancel", "retry", "redraft"):
        assert await error_code(cast.stranger, f"/outbound/{message['id']}/{step}") == (404, "outbound_not_found")
        assert await error_code(cast.stranger, f"/outbound/7/{step}") == (404, "outbound_not_found")
    for path in ("", "/preflight"):
        response = await cast.stranger.client.get(f"/outbound/{message['id']}{path}")
        assert (response.status_code, response.json()["error"]) == (404, "outbound_not_found")
    assert (await cast.stranger.client.get("/outbound")).json()["total"] == 0
    processed = await cast.stranger.client.post("/outbound/process")
    assert processed.json()["result"]["processed"] == 0


async def test_contact_id_is_a_recipient_and_can_be_opted_out(cast: Cast, owner_conn: psycopg.Connection):
    project = cast.member.project_id
    assert project is not None
    stories.insert_conversations(owner_conn, project)
    contact = f"cwc:{project}:{stories.ACCOUNT}:11"
    conversation = f"cw:{project}:{stories.ACCOUNT}:101"
    body = {"contact_global_id": contact, "channel": "chatwoot", "opted_out": True}
    assert (await cast.member.client.post("/outbound/opt-out", json=body)).json()["policy"]["opted_out"]
    message = await draft_and_approve(cast.member, channel="chatwoot", recipient_ref=conversation)
    assert await error_code(cast.member, f"/outbound/{message['id']}/send") == (409, "outbound_blocked_opt_out")
    strange = draft_body(channel="chatwoot", recipient_ref=contact)
    assert await error_code(cast.stranger, "/outbound/draft", strange) == (400, "invalid_recipient_ref")
