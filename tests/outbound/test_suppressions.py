"""Suppressions: nothing is sent to whom a channel cannot reach, and a bounce is not an opt-out."""

from datetime import UTC, datetime, timedelta

import pytest

from proofdesk.outbound import approval, preflight, suppressions
from proofdesk.outbound.channels.email import replies
from proofdesk.outbound.channels.email.replies import SmtpReply
from proofdesk.outbound.delivery.delivery import RecipientSuppressed
from proofdesk.outbound.suppressions import InvalidSuppression, SuppressionNotFound
from tests.support.outbound_desk import LUIS, OutboundDesk, accept_all, refuse_with

GONE = {"message": "550 5.1.1 No such user", "permanent": True, "suppression": "bounce"}


async def names(desk: OutboundDesk) -> list[str | None]:
    page, _ = await suppressions.list_suppressions(desk.db, desk.scope, None, None, 50, 0)
    return [row.address or row.contact_global_id for row in page]


async def test_suppressed_address_gets_no_message(desk: OutboundDesk):
    await suppressions.add(desk.db, desk.scope, "email", " Luis@Example.com ")
    message = await desk.approve_new()
    with pytest.raises(RecipientSuppressed, match="recipient_suppressed: manual"):
        await desk.send(message)
    stopped = await desk.read(message)
    assert (stopped.status, stopped.last_error, desk.mail.calls) == ("cancelled", "recipient_suppressed: manual", 0)
    await suppressions.remove(desk.db, desk.scope, "email", LUIS)
    await approval.redraft(desk.db, desk.scope, message.id)
    await approval.approve(desk.db, desk.scope, message.id)
    assert (await desk.process()).sent == 1


async def test_suppressed_contact_is_not_reached_by_any_address(desk: OutboundDesk):
    added = await suppressions.add(desk.db, desk.scope, "email", desk.contact(12))
    assert (added.address, added.contact_global_id) == (None, desk.contact(12))
    await desk.approve_new()
    assert (await desk.process()).blocked == 1
    assert desk.mail.calls == 0


async def test_refused_mailbox_is_suppressed_with_its_evidence(desk: OutboundDesk):
    desk.mail.behave = refuse_with(**GONE)
    message = await desk.approve_new()
    await desk.process()
    (row,), total = await suppressions.list_suppressions(desk.db, desk.scope, "email", "luis", 50, 0)
    assert (total, row.address, row.reason, row.outbound_id, row.expires_at) == (1, LUIS, "bounce", message.id, None)
    assert "550 5.1.1 No such user" in (row.detail or "")
    desk.mail.behave = accept_all
    await desk.approve_new()
    assert (await desk.process()).blocked == 1
    policy = await desk.policy(stop_on_reply=True)
    assert not policy.opted_out, "a bounce is not an opt-out"


async def test_other_refusals_suppress_nobody(desk: OutboundDesk):
    desk.mail.behave = refuse_with("552 5.3.4 Too big", permanent=True)
    await desk.approve_new()
    await desk.process()
    assert await names(desk) == []


async def test_retry_by_a_person_takes_the_recipient_off_the_list(desk: OutboundDesk):
    desk.mail.behave = refuse_with(**GONE)
    message = await desk.approve_new()
    await desk.process()
    desk.mail.behave = accept_all
    await approval.retry(desk.db, desk.scope, message.id)
    assert (await desk.process()).sent == 1
    assert await names(desk) == []


async def test_suppression_that_has_expired_holds_nobody(desk: OutboundDesk):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    await suppressions.add(desk.db, desk.scope, "email", LUIS, reason="blocked", expires_at=yesterday)
    await desk.approve_new()
    assert (await desk.process()).sent == 1
    assert await names(desk) == []


async def test_preflight_equals_the_gate(desk: OutboundDesk):
    message = await desk.approve_new()
    for suppressed in (False, True):
        if suppressed:
            await suppressions.add(desk.db, desk.scope, "email", LUIS, reason="complaint")
        report = await preflight.check_gates(desk.db, desk.scope, {"email"}, message.id)
        (gate,) = (g for g in report.gates if g.gate == "suppression")
        assert (gate.passes, report.sendable_at is None) == (not suppressed, suppressed)
    assert gate.detail == "The recipient is on the suppression list (complaint)."


async def test_suppression_of_another_channel_does_not_count(desk: OutboundDesk):
    await suppressions.add(desk.db, desk.scope, "chatwoot", desk.contact(12))
    await desk.approve_new()
    assert (await desk.process()).sent == 1


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("", "manual", "Give the `address`"),
        (7, "manual", "Give the `address`"),
        ("nobody", "manual", "neither a contact"),
        (LUIS, "rude", "`reason` must be one of"),
    ],
)
async def test_wrong_suppression_is_refused(desk: OutboundDesk, name: object, reason: str, message: str):
    with pytest.raises(InvalidSuppression, match=message):
        await suppressions.add(desk.db, desk.scope, "email", name, reason=reason)


async def test_conversation_cannot_be_suppressed(desk: OutboundDesk):
    with pytest.raises(InvalidSuppression, match="A conversation cannot be suppressed"):
        await suppressions.add(desk.db, desk.scope, "chatwoot", desk.conversation())


async def test_changes_are_audited_and_repeats_are_not(desk: OutboundDesk):
    for _ in range(2):
        await suppressions.add(desk.db, desk.scope, "email", LUIS, detail="Asked by phone")
    await suppressions.remove(desk.db, desk.scope, "email", LUIS)
    with pytest.raises(SuppressionNotFound):
        await suppressions.remove(desk.db, desk.scope, "email", LUIS)
    rows = desk.rows(
        "SELECT action, payload ->> 'detail' FROM audit_events WHERE entity_type = 'suppression' ORDER BY id"
    )
    assert rows == [
        ("outbound.suppression", "Asked by phone"),
        ("outbound.suppression_removed", "Asked by phone"),
    ]


@pytest.mark.parametrize(
    ("code", "status", "text", "unreachable"),
    [
        (550, (5, 1, 1), "5.1.1 No such user", True),
        (556, (5, 1, 10), "5.1.10 Null MX", True),
        (550, (5, 2, 1), "5.2.1 Mailbox disabled", True),
        (550, (5, 7, 1), "5.7.1 Blocked by policy", False),
        (552, (5, 2, 2), "5.2.2 Mailbox full", False),
        (550, None, "Go away", False),
        (450, (4, 1, 1), "4.1.1 Try later", False),
    ],
)
def test_only_a_mailbox_that_does_not_exist_is_unreachable(
    code: int, status: tuple[int, int, int] | None, text: str, unreachable: bool
):
    assert replies.classify(SmtpReply("RCPT", code, status, text)).unreachable is unreachable
