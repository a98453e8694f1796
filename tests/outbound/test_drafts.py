"""Drafts and decisions about them; the table enforces the states."""

import asyncio
from typing import Any

import psycopg
import pytest

from proofdesk.evidence.references import InvalidEvidenceRef
from proofdesk.outbound import approval, drafts
from proofdesk.outbound.approval import FourEyesRequired
from proofdesk.outbound.channels.interface import InvalidPayload, InvalidRecipient
from proofdesk.outbound.channels.registry import InvalidChannel
from proofdesk.outbound.delivery.delivery import DeliveryTotals
from proofdesk.outbound.drafts import DraftRequest, DuplicateOutbound, IdempotencyConflict, IdempotencyKeyRequired
from proofdesk.outbound.messages import STATES, InvalidState
from tests.support.outbound_desk import LUIS, OutboundDesk, refuse_with

TEXT = {"subject": "News", "text": "Hello"}
LEGAL = {
    ("draft", "approved"), ("draft", "cancelled"), ("approved", "sending"), ("approved", "blocked_opt_out"),
    ("approved", "draft"),
    ("approved", "cancelled"), ("sending", "sent"), ("sending", "failed"), ("sending", "approved"),
    ("failed", "sending"),
    ("failed", "approved"), ("failed", "blocked_opt_out"), ("failed", "cancelled"), ("failed", "draft"),
    ("blocked_opt_out", "draft"), ("cancelled", "draft"),
}  # fmt: skip


async def test_same_request_returns_same_message_and_another_is_refused(desk: OutboundDesk):
    request = DraftRequest("email", "Luis@Example.com", TEXT, "key")
    first, is_new = await drafts.create(desk.db, desk.scope, request)
    again, is_new_again = await drafts.create(desk.db, desk.scope, DraftRequest("email", LUIS, TEXT, "key"))
    assert (is_new, is_new_again, again.id) == (True, False, first.id)
    await approval.approve(desk.db, desk.scope, first.id)
    for other in (
        DraftRequest("email", LUIS, {"subject": "News", "text": "Something else"}, "key"),
        DraftRequest("email", "a@example.com", TEXT, "key"),
        DraftRequest("email", LUIS, TEXT, "key", max_retries=1),
    ):
        with pytest.raises(IdempotencyConflict):
            await drafts.create(desk.db, desk.scope, other)
    replayed, _ = await drafts.create(desk.db, desk.scope, request)
    assert (replayed.status, replayed.payload) == ("approved", first.payload)


async def test_fifty_requests_at_once_create_one_message(desk: OutboundDesk):
    request = DraftRequest("email", LUIS, TEXT, "key", dedupe_key="only one")
    results = await asyncio.gather(*(drafts.create(desk.db, desk.scope, request) for _ in range(50)))
    assert len({m.id for m, _ in results}) == 1
    assert sum(is_new for _, is_new in results) == 1
    assert desk.fetch_count("SELECT count(*) FROM audit_events WHERE action = 'outbound.draft'") == 1


async def test_dedupe_key_allows_one_message_until_it_is_released(desk: OutboundDesk):
    first = await desk.draft(dedupe_key="invoice 7")
    with pytest.raises(DuplicateOutbound) as refusal:
        await desk.draft(dedupe_key="invoice 7")
    assert refusal.value.details == {"id": str(first.id)}
    await approval.cancel(desk.db, desk.scope, first.id)
    second = await desk.draft(dedupe_key="invoice 7")
    with pytest.raises(DuplicateOutbound):
        await approval.redraft(desk.db, desk.scope, first.id)
    assert [(await desk.read(m)).status for m in (first, second)] == ["cancelled", "draft"]


async def test_only_one_redraft_gets_a_shared_dedupe_key(desk: OutboundDesk):
    results = []
    for _ in range(6):
        results.append(await desk.draft(dedupe_key="invoice 7"))
        await approval.cancel(desk.db, desk.scope, results[-1].id)
    again = (approval.redraft(desk.db, desk.scope, m.id) for m in results)
    outcomes = await asyncio.gather(*again, return_exceptions=True)
    assert sum(isinstance(t, DuplicateOutbound) for t in outcomes) == 5, outcomes
    assert desk.fetch_count("SELECT count(*) FROM outbound_messages WHERE status = 'draft'") == 1


async def test_twenty_requests_with_one_dedupe_key_create_one_message(desk: OutboundDesk):
    requests = [DraftRequest("email", LUIS, TEXT, f"key {n}", dedupe_key="one") for n in range(20)]
    results = await asyncio.gather(*(drafts.create(desk.db, desk.scope, w) for w in requests), return_exceptions=True)
    assert sum(isinstance(m, DuplicateOutbound) for m in results) == 19
    assert desk.fetch_count("SELECT count(*) FROM outbound_messages") == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"channel": "pigeon"}, InvalidChannel),
        ({"channel": None}, InvalidChannel),
        ({"recipient_ref": "nobody"}, InvalidRecipient),
        ({"recipient_ref": 7}, InvalidRecipient),
        ({"recipient_ref": " "}, InvalidRecipient),
        ({"channel": "telegram", "recipient_ref": LUIS}, InvalidRecipient),
        ({"channel": "chatwoot", "recipient_ref": "cw:{}:7:999", "payload": {"text": "x"}}, InvalidRecipient),
        ({"channel": "chatwoot", "recipient_ref": "cwc:{}:7:999", "payload": {"text": "x"}}, InvalidRecipient),
        ({"channel": "chatwoot", "recipient_ref": "cw:00000000-0000-0000-0000-000000000001:7:101",
          "payload": {"text": "x"}}, InvalidRecipient),
        ({"payload": "text"}, InvalidPayload),
        ({"payload": {}}, InvalidPayload),
        ({"idempotency_key": None}, IdempotencyKeyRequired),
        ({"idempotency_key": "  "}, IdempotencyKeyRequired),
        ({"idempotency_key": "k" * 201}, IdempotencyKeyRequired),
        ({"evidence_refs": [{"source": "cw_messages", "ref": "cwmsg:{}:7:999"}]}, InvalidEvidenceRef),
        ({"evidence_refs": ["x"]}, InvalidEvidenceRef),
    ],
)  # fmt: skip
async def test_invalid_request_is_reported_and_nothing_is_stored(desk: OutboundDesk, wrong: dict[str, Any], error: Any):
    fields: dict[str, Any] = {
        "channel": "email",
        "recipient_ref": LUIS,
        "payload": TEXT,
        "idempotency_key": "k",
    } | wrong
    if isinstance(fields["recipient_ref"], str):
        fields["recipient_ref"] = fields["recipient_ref"].format(desk.scope.project_id)
    with pytest.raises(error):
        await drafts.create(desk.db, desk.scope, DraftRequest(**fields))
    assert desk.fetch_count("SELECT count(*) FROM outbound_messages") == 0


async def test_approval_records_person_time_and_content(desk: OutboundDesk):
    message = await desk.draft()
    fields = await approval.approve(desk.db, desk.as_user("ari"), message.id)
    assert (fields.status, fields.created_by, fields.approved_by) == ("approved", "system", "ari")
    assert fields.approved_at is not None
    with pytest.raises(InvalidState):
        await approval.approve(desk.db, desk.scope, message.id)
    assert desk.rows("SELECT encode(approved_hash, 'hex') FROM outbound_messages") == [(message.content_hash,)]


async def test_four_eyes_forbids_approving_own_draft(desk: OutboundDesk):
    message = await desk.draft()
    with pytest.raises(FourEyesRequired):
        await approval.approve(desk.db, desk.scope, message.id, four_eyes=True)
    fields = await approval.approve(desk.db, desk.as_user("ari"), message.id, four_eyes=True)
    assert fields.approved_by == "ari"


@pytest.mark.parametrize(
    "change", ['payload = \'{"text": "Else"}\'', "recipient_ref = 'a@example.com'", "channel = 'telegram'"]
)
async def test_changed_content_removes_the_approval(desk: OutboundDesk, change: str):
    message = await desk.approve_new()
    desk.conn.execute(f"UPDATE outbound_messages SET {change}".encode())
    changed = await desk.read(message)
    assert (changed.status, changed.approved_by, changed.next_attempt_at) == ("draft", None, None)
    assert changed.content_hash != message.content_hash
    assert await desk.process() == DeliveryTotals()


async def test_approval_of_other_content_cannot_be_stored(desk: OutboundDesk):
    await desk.draft()
    with pytest.raises(psycopg.errors.CheckViolation, match="approved_as_it_is"):
        desk.conn.execute(
            "UPDATE outbound_messages SET status = 'approved', approved_by = 'x', approved_at = now(),"
            " approved_hash = '\\x00', next_attempt_at = now()"
        )


@pytest.mark.parametrize("status", STATES)
async def test_table_allows_only_the_documented_transitions(desk: OutboundDesk, status: str):
    for target in STATES:
        await _move_to_state(desk, status)
        legal = (status, target) in LEGAL
        with desk.conn.transaction(force_rollback=True):
            if legal or target == status != "sent":
                _become_contact(desk, target)
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    _become_contact(desk, target)


async def test_sent_message_cannot_be_changed(desk: OutboundDesk):
    await desk.approve_new()
    assert (await desk.process()).sent == 1
    for statement in (
        "UPDATE outbound_messages SET payload = '{}'",
        "UPDATE outbound_messages SET last_error = 'x'",
        "DELETE FROM outbound_messages",
        "UPDATE outbound_attempts SET outcome = 'failed'",
        "DELETE FROM outbound_attempts",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.conn.execute(statement)


async def test_application_cannot_change_channel_or_versions(desk: OutboundDesk):
    await desk.draft()
    for statement in (
        "UPDATE outbound_messages SET channel = 'telegram'",
        "UPDATE outbound_messages SET created_by = 'x'",
        "UPDATE outbound_versions SET payload = '{}'",
        "DELETE FROM outbound_versions",
    ):
        async with desk.db.scoped(desk.scope) as conn:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute(statement.encode())


async def test_failed_or_cancelled_message_can_be_drafted_again(desk: OutboundDesk):
    message = await desk.approve_new()
    cancelled = await approval.cancel(desk.db, desk.as_user("ari"), message.id)
    assert (cancelled.status, cancelled.cancelled_by) == ("cancelled", "ari")
    assert (await approval.redraft(desk.db, desk.scope, message.id)).status == "draft"
    await approval.approve(desk.db, desk.scope, message.id)
    desk.mail.behave = refuse_with(permanent=True)
    await desk.process()
    assert (await approval.redraft(desk.db, desk.scope, message.id)).status == "draft"
    for verb in (approval.retry, approval.redraft):
        with pytest.raises(InvalidState):
            await verb(desk.db, desk.scope, message.id)


async def _move_to_state(desk: OutboundDesk, status: str) -> None:
    desk.conn.execute("SET session_replication_role = replica")
    desk.conn.execute("TRUNCATE outbound_messages, outbound_attempts, outbound_deliveries, outbound_versions")
    desk.conn.execute("RESET session_replication_role")
    await desk.draft()
    path = {"draft": [], "approved": ["approved"], "sending": ["approved", "sending"]}.get(status)
    if path is None:
        path = ["approved", *(["sending"] if status in ("sent", "failed") else []), status]
    for step in path:
        _become_contact(desk, step)


def _become_contact(desk: OutboundDesk, status: str) -> None:
    desk.conn.execute(
        "UPDATE outbound_messages SET status = %(status)s::text,"
        " next_attempt_at = CASE WHEN %(status)s IN ('approved', 'failed') THEN now() END,"
        " approved_by = 'x', approved_at = now(), approved_hash = content_hash,"
        " cancelled_by = CASE WHEN %(status)s = 'cancelled' THEN 'x' END,"
        " cancelled_at = CASE WHEN %(status)s = 'cancelled' THEN now() END,"
        " sent_at = CASE WHEN %(status)s = 'sent' THEN now() END",
        {"status": status},
    )
