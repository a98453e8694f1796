"""The runbook on blocked or failing delivery, line by line, over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from proofdesk_simulators import smtp
from proofdesk_simulators.telegram import TelegramSimulator
from tests.support.outbound_requests import draft, draft_and_approve, error_code
from tests.support.server import Cast, Person, open_client, run_server

LETTER = {"channel": "email", "recipient_ref": "luis@example.com", "payload": {"subject": "News", "text": "Hello"}}


@pytest.fixture
def member(cast: Cast, chats: TelegramSimulator) -> Person:
    """A member who follows the runbook. Chat 42 accepts messages."""
    return cast.member


@pytest.fixture
async def configured_server(
    member: Person, database_url: str, mail_server: tuple[smtp.SmtpSimulator, str], tmp_path: Path
) -> AsyncIterator[httpx2.AsyncClient]:
    """The same member at a server that was restarted with a mail relay."""
    relay = {"SMTP_URL": mail_server[1], "SMTP_FROM": "Studio <hello@example.com>"}
    with run_server(database_url, tmp_path / "server.log", **relay) as url:
        async with open_client(url, cookies={"sid": member.token}, headers={"x-csrf-token": member.csrf}) as client:
            yield client


async def process(client: httpx2.AsyncClient) -> dict[str, int]:
    """Call `POST /outbound/process` and return its totals that are not 0."""
    response = await client.post("/outbound/process")
    assert response.status_code == 200, response.text
    return {name: number for name, number in response.json()["result"].items() if number}


async def set_policy(person: Person, **change: Any) -> httpx2.Response:
    """Change the policy of chat 42."""
    body = {"contact_global_id": "42", "channel": "telegram", **change}
    return await person.client.post("/outbound/opt-out", json=body)


async def get_details(person: Person, message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with attempts, policy and history."""
    return (await person.client.get(f"/outbound/{message['id']}")).json()


async def post_action(person: Person, message: dict[str, Any], verb: str) -> dict[str, Any]:
    """Change the state of a message and return it."""
    response = await person.client.post(f"/outbound/{message['id']}/{verb}")
    assert response.status_code == 200, response.text
    return response.json()["outbound"]


async def get_state(person: Person, message: dict[str, Any]) -> tuple[str, str | None]:
    """Return status and `last_error` as `GET /outbound` lists them."""
    listed = (await person.client.get("/outbound")).json()["outbound"]
    return next((m["status"], m["last_error"]) for m in listed if m["id"] == message["id"])


async def test_symptoms_list_each_unsent_state_with_its_reason(member: Person, chats: TelegramSimulator):
    drafted = await draft(member, "drafted")
    capped = await draft_and_approve(member, "capped")
    await set_policy(member, frequency_cap=1)
    chats.fail("blocked", times=1)
    failed = await draft_and_approve(member, "failed", recipient_ref="43")
    other = await draft_and_approve(member, "other", recipient_ref="44")
    await member.client.post(
        "/outbound/opt-out", json={"contact_global_id": "44", "channel": "telegram", "opted_out": True}
    )
    chats.person(43)
    assert await error_code(member, f"/outbound/{failed['id']}/send") == (502, "outbound_send_failed")
    first = await draft_and_approve(member, "first")
    await post_action(member, first, "send")
    assert await process(member.client) == {"processed": 2, "blocked": 1, "skipped": 1}
    assert await get_state(member, drafted) == ("draft", None)
    assert await get_state(member, capped) == ("approved", "frequency_cap_reached")
    assert await get_state(member, other) == ("blocked_opt_out", "recipient_opted_out")
    status, error = await get_state(member, failed)
    assert status == "failed" and error is not None and error.startswith("provider_error: ")
    for message in (drafted, capped, other, failed):
        listed = (await member.client.get(f"/outbound?status={(await get_state(member, message))[0]}")).json()[
            "outbound"
        ]
        assert [m["id"] for m in listed] == [message["id"]]
    assert [m.text for m in chats.sent] == ["Hello"], "only the first went out"


async def test_checks_show_the_stored_policy_and_attempts(
    member: Person, chats: TelegramSimulator, owner_conn: psycopg.Connection
):
    await set_policy(member, frequency_cap=7, frequency_window_hours=48, stop_on_reply=False)
    chats.fail("too_many_requests", times=1)
    message = await draft_and_approve(member)
    assert (await process(member.client)).get("failed") is None, "a limit of the bot fails no message"
    assert (await get_state(member, message))[0] in ("approved", "sent")
    await process(member.client)
    details = await get_details(member, message)
    names = ("opted_out", "stop_on_reply", "frequency_cap", "frequency_window_hours", "sent_in_window")
    row = owner_conn.execute(
        "SELECT opted_out, stop_on_reply, frequency_cap, frequency_window_hours, sent_in_window"
        " FROM contact_channel_policies WHERE contact_global_id = '42'"
    ).fetchone()
    assert row == (False, False, 7, 48, 1)
    assert tuple(details["policy"][name] for name in names) == row
    tried = owner_conn.execute(
        "SELECT number, outcome, error, provider_message_id FROM outbound_attempts WHERE outbound_id = %s ORDER BY 1",
        [message["id"]],
    ).fetchall()
    assert [(a["number"], a["outcome"], a["error"], a["provider_message_id"]) for a in details["attempts"]] == tried
    assert [outcome for _, outcome, *_ in tried] == ["failed", "sent"] and "Too Many Requests" in tried[0][2]


async def test_blocked_message_is_released_only_by_an_opt_in(member: Person, chats: TelegramSimulator):
    await set_policy(member, opted_out=True)
    message = await draft_and_approve(member)
    assert await process(member.client) == {"processed": 1, "blocked": 1}
    await set_policy(member, frequency_cap=200, stop_on_reply=False)
    for verb in ("approve", "send", "retry", "redraft"):
        assert await error_code(member, f"/outbound/{message['id']}/{verb}") == (409, "outbound_invalid_state"), verb
    assert await process(member.client) == {}
    silent = await set_policy(member, opted_out=False)
    assert (silent.status_code, silent.json()["error"]) == (400, "invalid_opt_out_payload"), "a reason is needed"
    assert (await set_policy(member, opted_out=False, reason="They called and asked for it")).status_code == 200
    assert await process(member.client) == {} and await get_state(member, message) == (
        "blocked_opt_out", "recipient_opted_out",
    ), "the opt-in alone sends nothing"  # fmt: skip
    assert (await post_action(member, message, "redraft"))["approved_by"] is None
    assert await process(member.client) == {}, "it has to be approved anew"
    await post_action(member, message, "approve")
    assert await process(member.client) == {"processed": 1, "sent": 1}
    assert len(chats.sent) == 1


@pytest.mark.parametrize("way", ["the window is over", "the cap is changed"])
async def test_capped_message_is_sent_after_the_window_or_a_higher_cap(
    member: Person, chats: TelegramSimulator, owner_conn: psycopg.Connection, way: str
):
    await set_policy(member, frequency_cap=1)
    made = [await draft_and_approve(member, key) for key in ("first", "second")]
    assert await process(member.client) == {"processed": 2, "sent": 1, "skipped": 1}
    assert await process(member.client) == {}, "it waits for the window's end"
    waiting = await get_details(member, made[1])
    assert (waiting["outbound"]["status"], waiting["outbound"]["last_error"]) == ("approved", "frequency_cap_reached")
    if way == "the cap is changed":
        await set_policy(member, frequency_cap=2)
    else:
        owner_conn.execute(
            "UPDATE contact_channel_policies SET window_started_at = window_started_at - interval '1 day'"
        )
        owner_conn.execute(
            "UPDATE outbound_messages SET next_attempt_at = next_attempt_at - interval '1 day'"
            " WHERE last_error = 'frequency_cap_reached'"
        )
    assert await process(member.client) == {"processed": 1, "sent": 1}
    assert await get_state(member, made[1]) == ("sent", None)
    assert len(chats.sent) == 2


async def test_corrected_credentials_send_failed_messages(
    member: Person, chats: TelegramSimulator, owner_conn: psycopg.Connection
):
    right = chats.token
    try:
        chats.token = "7000000001:renewed"
        message = await draft_and_approve(member)
        assert await process(member.client) == {"processed": 1, "failed": 1}
        status, error = await get_state(member, message)
        assert status == "failed" and error is not None and "Check TELEGRAM_BOT_TOKEN" in error
    finally:
        chats.token = right
    owner_conn.execute("UPDATE outbound_messages SET next_attempt_at = now()")  # the wait before a retry is over
    assert await process(member.client) == {"processed": 1, "sent": 1}
    assert [a["outcome"] for a in (await get_details(member, message))["attempts"]] == ["failed", "sent"]
    assert len(chats.sent) == 1


async def test_newly_configured_channel_sends_waiting_messages(
    member: Person, configured_server: httpx2.AsyncClient, relay: smtp.SmtpSimulator
):
    message = await draft_and_approve(member, **LETTER)
    assert await process(member.client) == {"processed": 1, "skipped": 1}
    assert await get_state(member, message) == ("approved", "provider_not_configured")
    assert await process(configured_server) == {"processed": 1, "sent": 1}
    assert await get_state(member, message) == ("sent", None)
    assert [m.recipients for m in relay.received] == [["luis@example.com"]]


async def test_wrong_recipient_is_replaced_by_a_new_message(member: Person, chats: TelegramSimulator):
    wrong = await draft_and_approve(member, "wrong", recipient_ref="41")
    assert await process(member.client) == {"processed": 1, "failed": 1}
    status, error = await get_state(member, wrong)
    assert status == "failed" and error is not None and "chat not found" in error
    assert await process(member.client) == {}, "that can never work, so it is not tried again"
    await post_action(member, wrong, "cancel")
    await draft_and_approve(member, "right")
    assert await process(member.client) == {"processed": 1, "sent": 1}
    assert [m.chat_id for m in chats.sent] == [42]


async def test_evidence_has_payload_states_policy_and_events(member: Person, chats: TelegramSimulator):
    await set_policy(member, opted_out=True, reason="They wrote STOP")
    message = await draft_and_approve(member)
    await process(member.client)
    await set_policy(member, opted_out=False, reason="They called and asked for it")
    await post_action(member, message, "redraft")
    await post_action(member, message, "approve")
    await process(member.client)
    details = await get_details(member, message)
    assert details["outbound"]["payload"] == {"text": "Hello"} and details["outbound"]["status"] == "sent"
    assert [(e["action"].removeprefix("outbound."), e["actor_username"]) for e in details["history"]] == [
        ("draft", "member"), ("approve", "member"), ("opt_out_block", "member"),
        ("redraft", "member"), ("approve", "member"), ("send", "member"),
    ]  # fmt: skip
    assert (
        details["history"][2]["payload"] | {"reason": "recipient_opted_out", "from": "approved"}
        == details["history"][2]["payload"]
    )
    assert (details["policy"]["opted_out"], details["policy"]["sent_in_window"]) == (False, 1)
    events = (await member.client.get("/audit?action=outbound.*")).json()["events"]
    reasons = {e["action"]: e["payload"].get("reason") for e in events}
    assert (reasons["outbound.opt_out"], reasons["outbound.opt_in"]) == (
        "They wrote STOP",
        "They called and asked for it",
    )
    assert len(events) == len(details["history"]) + 2
