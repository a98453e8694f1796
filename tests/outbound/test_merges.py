"""Contacts that are merged in Chatwoot: what was decided about either holds for both."""

from collections.abc import AsyncIterator

import pytest

from tests.support.synced_project import API, MAIL, SyncedProject, chatwoot, synced_project

__all__ = ["chatwoot", "synced_project"]

A, B, C = "a@example.com", "b@example.com", "c@example.com"


@pytest.fixture
async def pair(mirrored: SyncedProject) -> AsyncIterator[tuple[SyncedProject, int, int]]:
    """Two contacts with a conversation and an address each, as imported."""
    first, second = mirrored.contact("Ada", API, email=A), mirrored.contact("Bea", MAIL, email=B)
    await mirrored.sync()
    yield mirrored, first, second


@pytest.mark.parametrize("opted_out", ["base", "mergee"])
@pytest.mark.parametrize("named", ["contact", "address"])
@pytest.mark.parametrize("reconciled", [False, True], ids=["synced", "reconciled"])
async def test_opt_out_survives_contact_merge(
    pair: tuple[SyncedProject, int, int], opted_out: str, named: str, reconciled: bool
):
    mirrored, base, mergee = pair
    who = {"base": (base, A), "mergee": (mergee, B)}[opted_out]
    await mirrored.policy(mirrored.cwc(who[0]) if named == "contact" else who[1], opted_out=True)
    await mirrored.policy(mirrored.cwc(who[0]), "chatwoot", opted_out=True)
    moved, stayed = mirrored.talk(mergee), mirrored.talk(base)
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    if reconciled:
        await mirrored.reconcile()
        gone = "SELECT contact_id FROM cw_contacts WHERE contact_id = %s"
        assert mirrored.conn.execute(gone, [mergee]).fetchall() == [], "the contact is gone, what was decided is not"
    for recipient in (A, B):
        assert await mirrored.send_new(recipient) == "blocked_opt_out"
    for recipient in (mirrored.cwc(base), mirrored.cwc(mergee), mirrored.cw(moved), mirrored.cw(stayed)):
        assert await mirrored.send_new(recipient, "chatwoot") == "blocked_opt_out"


@pytest.mark.parametrize("first", ["a into b", "b into c"])
@pytest.mark.parametrize("opted_out", [A, B, C])
async def test_opt_out_holds_along_a_chain_of_merges(mirrored: SyncedProject, first: str, opted_out: str):
    a, b, c = (mirrored.contact(e[0], email=e) for e in (A, B, C))
    await mirrored.sync()
    await mirrored.policy(opted_out, opted_out=True)
    merges = [(b, a), (c, b)] if first == "a into b" else [(c, b), (c, a)]
    for base, mergee in merges:
        mirrored.chatwoot.merge_contacts(base, mergee)
        await mirrored.sync()
    await mirrored.reconcile()
    for recipient in (A, B, C):
        assert await mirrored.send_new(recipient) == "blocked_opt_out"


async def test_two_merges_between_syncs_count_as_one_contact(mirrored: SyncedProject):
    a, b, c = (mirrored.contact(e[0], email=e) for e in (A, B, C))
    await mirrored.sync()
    await mirrored.policy(A, opted_out=True)
    mirrored.chatwoot.merge_contacts(b, a)
    mirrored.chatwoot.merge_contacts(c, b)
    await mirrored.sync()
    assert [await mirrored.send_new(recipient) for recipient in (A, B, C)] == ["blocked_opt_out"] * 3


async def test_stop_written_before_the_merge_holds_for_the_remaining_contact(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    mirrored.chatwoot.append_message(mirrored.talk(mergee), "STOP")
    await mirrored.sync()
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    assert await mirrored.send_new(A) == "blocked_opt_out"
    assert await mirrored.send_new(mirrored.cwc(base), "chatwoot") == "blocked_opt_out"


async def test_opt_out_of_the_remaining_contact_covers_the_lost_address(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.reconcile()
    await mirrored.policy(mirrored.cwc(base), opted_out=True)
    assert await mirrored.send_new(B) == "blocked_opt_out"


async def test_the_merged_contact_can_still_be_opted_out_by_its_id(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.reconcile()
    await mirrored.policy(mirrored.cwc(mergee), opted_out=True)
    assert await mirrored.send_new(A) == "blocked_opt_out"


async def test_merged_contact_without_conversations_is_found_by_address(mirrored: SyncedProject):
    base, mergee = mirrored.contact("Ada"), mirrored.contact("Bea", inbox=0)
    mirrored.chatwoot.update_contact(mergee, {"identifier": "bea-1"})
    await mirrored.sync()
    await mirrored.reconcile()
    await mirrored.policy(mirrored.cwc(mergee), opted_out=True)
    mirrored.chatwoot.update_contact(mergee, {"email": B})
    await mirrored.reconcile()
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.reconcile()
    await mirrored.reconcile()
    assert mirrored.chatwoot.contact(base).email == B
    assert await mirrored.send_new(B) == "blocked_opt_out"
    assert mirrored.events("outbound.contact_merged")[0]["noticed_by"] == "address"


@pytest.mark.parametrize("sent_before", [(2, 1), (1, 2), (3, 0), (0, 3)])
async def test_frequency_cap_counts_both_contacts_together(
    pair: tuple[SyncedProject, int, int], sent_before: tuple[int, int]
):
    mirrored, base, mergee = pair
    for recipient, times in zip((A, B), sent_before, strict=True):
        for _ in range(times):
            assert await mirrored.send_new(recipient) == "sent"
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.reconcile()
    for recipient in (A, B):
        assert await mirrored.send_new(recipient) == "frequency_cap_reached"


async def test_slots_after_a_merge_are_released_once(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    assert [await mirrored.send_new(A), await mirrored.send_new(B)] == ["sent", "sent"]
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    for recipient in (A, B, A):
        await mirrored.approve_new(recipient)
    tally = await mirrored.process()
    assert (tally.sent, tally.skipped) == (1, 2), "one place of three is left for the person"


async def test_the_stricter_rule_of_merged_contacts_wins(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    await mirrored.policy(B, frequency_cap=1, stop_on_reply=False)
    await mirrored.policy(A, frequency_cap=9)
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    waiting = await mirrored.approve_new(A)
    mirrored.chatwoot.append_message(mirrored.talk(base), "Wait", at=mirrored.ago(-5))
    await mirrored.sync()
    await mirrored.process()
    assert (await mirrored.read(waiting)).last_error == "stop_on_reply"


async def test_reply_in_a_moved_conversation_stops_messages_to_either(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    waiting = [await mirrored.approve_new(recipient) for recipient in (A, B)]
    moved = mirrored.talk(mergee)
    mirrored.chatwoot.append_message(moved, "One moment", at=mirrored.ago(-5))
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.reconcile()
    await mirrored.process()
    assert [(await mirrored.read(m)).last_error for m in waiting] == ["stop_on_reply"] * 2


async def test_reply_before_the_merge_was_noticed_is_not_forgotten(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    waiting = await mirrored.approve_new(A)
    mirrored.chatwoot.append_message(mirrored.talk(mergee), "One moment", at=mirrored.ago(-5))
    await mirrored.sync()
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.process()
    assert (await mirrored.read(waiting)).last_error == "stop_on_reply"


async def test_message_to_a_merged_contact_reaches_the_remaining_one(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    waiting = await mirrored.approve_new(mirrored.cwc(mergee), "chatwoot")
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.reconcile()
    await mirrored.process()
    assert (await mirrored.read(waiting)).status == "sent"
    sent = [m for c in mirrored.chatwoot.contact(base).conversations for m in c.messages if m.message_type == 1]
    assert [m.content for m in sent] == ["Hello"]


async def test_merge_is_recorded_in_the_audit_log_once(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    opted = await mirrored.policy(B, opted_out=True)
    mirrored.chatwoot.merge_contacts(base, mergee)
    for _ in range(2):
        await mirrored.sync()
        await mirrored.reconcile()
    assert mirrored.events("outbound.contact_merged") == [
        {
            "merged": mirrored.cwc(mergee),
            "into": mirrored.cwc(base),
            "noticed_by": "conversation",
            "policies": [str(opted.id)],
            "opted_out": ["email"],
        }
    ]


async def test_opt_in_of_the_remaining_contact_covers_all_addresses(pair: tuple[SyncedProject, int, int]):
    mirrored, base, mergee = pair
    await mirrored.policy(B, opted_out=True)
    mirrored.chatwoot.merge_contacts(base, mergee)
    await mirrored.sync()
    await mirrored.policy(mirrored.cwc(base), opted_out=False, reason="Asked for it on the phone")
    assert [await mirrored.send_new(recipient) for recipient in (A, B)] == ["sent", "sent"]


async def test_contacts_that_were_not_merged_stay_apart(pair: tuple[SyncedProject, int, int]):
    mirrored, _, _ = pair
    await mirrored.policy(B, opted_out=True)
    await mirrored.sync()
    await mirrored.reconcile()
    assert await mirrored.send_new(A) == "sent"
    assert mirrored.conn.execute("SELECT count(*) FROM contact_merges").fetchone() == (0,)
