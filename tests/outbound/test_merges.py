"""Contacts that are merged in Chatwoot: the policies of either hold for both."""

from collections.abc import AsyncIterator

import pytest

from tests.support.synced_project import API, MAIL, SyncedProject

A, B, C = "a@example.com", "b@example.com", "c@example.com"


@pytest.fixture
async def contacts(synced: SyncedProject) -> AsyncIterator[tuple[SyncedProject, int, int]]:
    """Two contacts with a conversation and an address each, as imported."""
    first, second = synced.contact("Ada", API, email=A), synced.contact("Bea", MAIL, email=B)
    await synced.sync()
    yield synced, first, second


@pytest.mark.parametrize("opted_out", ["base", "mergee"])
@pytest.mark.parametrize("named", ["contact", "address"])
@pytest.mark.parametrize("reconciled", [False, True], ids=["synced", "reconciled"])
@pytest.mark.fidelity(
    "Chatwoot",
    "A merge moves conversations to one contact and deletes the other.",
    "chatwoot/chatwoot, `app/actions/contact_merge_action.rb`",
)
async def test_opt_out_survives_contact_merge(
    contacts: tuple[SyncedProject, int, int], opted_out: str, named: str, reconciled: bool
):
    synced, base, mergee = contacts
    who = {"base": (base, A), "mergee": (mergee, B)}[opted_out]
    await synced.policy(synced.cwc(who[0]) if named == "contact" else who[1], opted_out=True)
    await synced.policy(synced.cwc(who[0]), "chatwoot", opted_out=True)
    moved, stayed = synced.conversation_of(mergee), synced.conversation_of(base)
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    if reconciled:
        await synced.reconcile()
        gone = "SELECT contact_id FROM cw_contacts WHERE contact_id = %s"
        assert synced.conn.execute(gone, [mergee]).fetchall() == [], "the contact is gone, what was decided is not"
    for recipient in (A, B):
        assert await synced.send_new(recipient) == "blocked_opt_out"
    for recipient in (synced.cwc(base), synced.cwc(mergee), synced.cw(moved), synced.cw(stayed)):
        assert await synced.send_new(recipient, "chatwoot") == "blocked_opt_out"


@pytest.mark.parametrize("first", ["a into b", "b into c"])
@pytest.mark.parametrize("opted_out", [A, B, C])
async def test_opt_out_holds_along_a_chain_of_merges(synced: SyncedProject, first: str, opted_out: str):
    a, b, c = (synced.contact(e[0], email=e) for e in (A, B, C))
    await synced.sync()
    await synced.policy(opted_out, opted_out=True)
    merges = [(b, a), (c, b)] if first == "a into b" else [(c, b), (c, a)]
    for base, mergee in merges:
        synced.chatwoot.merge_contacts(base, mergee)
        await synced.sync()
    await synced.reconcile()
    for recipient in (A, B, C):
        assert await synced.send_new(recipient) == "blocked_opt_out"


async def test_two_merges_between_syncs_count_as_one_contact(synced: SyncedProject):
    a, b, c = (synced.contact(e[0], email=e) for e in (A, B, C))
    await synced.sync()
    await synced.policy(A, opted_out=True)
    synced.chatwoot.merge_contacts(b, a)
    synced.chatwoot.merge_contacts(c, b)
    await synced.sync()
    assert [await synced.send_new(recipient) for recipient in (A, B, C)] == ["blocked_opt_out"] * 3


async def test_stop_written_before_the_merge_holds_for_the_remaining_contact(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    synced.chatwoot.append_message(synced.conversation_of(mergee), "STOP")
    await synced.sync()
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    assert await synced.send_new(A) == "blocked_opt_out"
    assert await synced.send_new(synced.cwc(base), "chatwoot") == "blocked_opt_out"


async def test_opt_out_of_the_remaining_contact_covers_the_lost_address(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.reconcile()
    await synced.policy(synced.cwc(base), opted_out=True)
    assert await synced.send_new(B) == "blocked_opt_out"


async def test_the_merged_contact_can_still_be_opted_out_by_its_id(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.reconcile()
    await synced.policy(synced.cwc(mergee), opted_out=True)
    assert await synced.send_new(A) == "blocked_opt_out"


async def test_merged_contact_without_conversations_is_found_by_address(synced: SyncedProject):
    base, mergee = synced.contact("Ada"), synced.contact("Bea", inbox=0)
    synced.chatwoot.update_contact(mergee, {"identifier": "bea-1"})
    await synced.sync()
    await synced.reconcile()
    await synced.policy(synced.cwc(mergee), opted_out=True)
    synced.chatwoot.update_contact(mergee, {"email": B})
    await synced.reconcile()
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.reconcile()
    await synced.reconcile()
    assert synced.chatwoot.contact(base).email == B
    assert await synced.send_new(B) == "blocked_opt_out"
    assert synced.events("outbound.contact_merged")[0]["noticed_by"] == "address"


@pytest.mark.parametrize("sent_before", [(2, 1), (1, 2), (3, 0), (0, 3)])
async def test_frequency_cap_counts_both_contacts_together(
    contacts: tuple[SyncedProject, int, int], sent_before: tuple[int, int]
):
    synced, base, mergee = contacts
    for recipient, times in zip((A, B), sent_before, strict=True):
        for _ in range(times):
            assert await synced.send_new(recipient) == "sent"
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.reconcile()
    for recipient in (A, B):
        assert await synced.send_new(recipient) == "frequency_cap_reached"


async def test_slots_after_a_merge_are_released_once(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    assert [await synced.send_new(A), await synced.send_new(B)] == ["sent", "sent"]
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    for recipient in (A, B, A):
        await synced.approve_new(recipient)
    tally = await synced.process()
    assert (tally.sent, tally.skipped) == (1, 2), "one place of three is left for the person"


async def test_the_stricter_rule_of_merged_contacts_wins(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    await synced.policy(B, frequency_cap=1, stop_on_reply=False)
    await synced.policy(A, frequency_cap=9)
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    waiting = await synced.approve_new(A)
    synced.chatwoot.append_message(synced.conversation_of(base), "Wait", at=synced.time_ago(-5))
    await synced.sync()
    await synced.process()
    assert (await synced.read(waiting)).last_error == "stop_on_reply"


async def test_reply_in_a_moved_conversation_stops_messages_to_either(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    waiting = [await synced.approve_new(recipient) for recipient in (A, B)]
    moved = synced.conversation_of(mergee)
    synced.chatwoot.append_message(moved, "One moment", at=synced.time_ago(-5))
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.reconcile()
    await synced.process()
    assert [(await synced.read(m)).last_error for m in waiting] == ["stop_on_reply"] * 2


async def test_reply_before_the_merge_was_noticed_is_not_forgotten(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    waiting = await synced.approve_new(A)
    synced.chatwoot.append_message(synced.conversation_of(mergee), "One moment", at=synced.time_ago(-5))
    await synced.sync()
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.process()
    assert (await synced.read(waiting)).last_error == "stop_on_reply"


async def test_message_to_a_merged_contact_reaches_the_remaining_one(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    waiting = await synced.approve_new(synced.cwc(mergee), "chatwoot")
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.reconcile()
    await synced.process()
    assert (await synced.read(waiting)).status == "sent"
    sent = [m for c in synced.chatwoot.contact(base).conversations for m in c.messages if m.message_type == 1]
    assert [m.content for m in sent] == ["Hello"]


async def test_merge_is_recorded_in_the_audit_log_once(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    opted = await synced.policy(B, opted_out=True)
    synced.chatwoot.merge_contacts(base, mergee)
    for _ in range(2):
        await synced.sync()
        await synced.reconcile()
    assert synced.events("outbound.contact_merged") == [
        {
            "merged": synced.cwc(mergee),
            "into": synced.cwc(base),
            "noticed_by": "conversation",
            "policies": [str(opted.id)],
            "opted_out": ["email"],
        }
    ]


async def test_opt_in_of_the_remaining_contact_covers_all_addresses(contacts: tuple[SyncedProject, int, int]):
    synced, base, mergee = contacts
    await synced.policy(B, opted_out=True)
    synced.chatwoot.merge_contacts(base, mergee)
    await synced.sync()
    await synced.policy(synced.cwc(base), opted_out=False, reason="Asked for it on the phone")
    assert [await synced.send_new(recipient) for recipient in (A, B)] == ["sent", "sent"]


async def test_contacts_that_were_not_merged_stay_apart(contacts: tuple[SyncedProject, int, int]):
    synced, _, _ = contacts
    await synced.policy(B, opted_out=True)
    await synced.sync()
    await synced.reconcile()
    assert await synced.send_new(A) == "sent"
    assert synced.conn.execute("SELECT count(*) FROM contact_merges").fetchone() == (0,)
