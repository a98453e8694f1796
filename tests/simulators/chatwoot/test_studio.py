"""The sample studio is complete, consistent and deterministic."""

import re
from collections import Counter

from proofdesk_simulators.chatwoot import ChatwootSimulator, build
from proofdesk_simulators.chatwoot.records import ACTIVITY, INCOMING, STATUSES

FIRST, LAST = 1_785_542_400, 1_795_219_199  # 2026-08-01 00:00 and 2026-11-20 23:59:59 UTC
ALLOWED_ADDRESS = re.compile(r".+@(.+\.)?example\.(com|org|net)")
PHONE = re.compile(r"\+\d+55501\d\d")


def test_loading_twice_gives_the_same_rows():
    assert build("studio").truth() == build("studio").truth()


def test_there_are_about_sixty_conversations_of_forty_contacts(simulator: ChatwootSimulator):
    counts = simulator.truth(rows=False)["counts"]
    assert counts["conversations"] == 62
    assert 450 <= counts["messages"] <= 600
    assert counts["contacts"] == 39
    assert set(counts["by_status"]) == set(STATUSES)
    assert set(counts["by_message_type"]) == {"incoming", "outgoing", "activity", "template"}


def test_some_contacts_write_through_several_inboxes(simulator: ChatwootSimulator):
    contacts = simulator.account().contacts.values()
    assert sum(len({row.inbox for row in contact.conversations}) > 1 for contact in contacts) >= 10
    assert all(contact.conversations for contact in contacts)


def test_the_sample_has_seven_languages(simulator: ChatwootSimulator):
    spoken = Counter(str(c.contact.custom_attributes["language"]) for c in simulator.account().conversations.values())
    assert {language for language, count in spoken.items() if count >= 8} == {"en", "de", "fr", "es", "ru"}
    assert set(spoken) - {"en", "de", "fr", "es", "ru"} == {"pt", "it"}


def test_times_are_in_autumn_and_in_order_of_ids(simulator: ChatwootSimulator):
    rows = sorted(simulator.installation.messages.values(), key=lambda row: row.id)
    times = [row.created_at for row in rows]
    assert times[0] >= FIRST and times[-1] <= LAST
    assert times == sorted(times)
    conversations = sorted(simulator.account().conversations.values(), key=lambda row: row.id)
    starts = [row.created_at for row in conversations]
    assert starts == sorted(starts)


def test_addresses_and_phone_numbers_are_reserved_ones(simulator: ChatwootSimulator):
    for contact in simulator.account().contacts.values():
        assert contact.email is None or ALLOWED_ADDRESS.fullmatch(contact.email)
        assert contact.phone_number is None or PHONE.fullmatch(contact.phone_number)
    assert all(ALLOWED_ADDRESS.fullmatch(user.email) for user in simulator.installation.users.values())


def test_labels_teams_and_assignees_exist(simulator: ChatwootSimulator):
    titles = {label.title for label in simulator.account().labels.values()}
    for row in simulator.account().conversations.values():
        assert set(row.labels) <= titles
        assert row.assignee is None or row.human is not None
        first_known = [m for m in row.messages if m.message_type != ACTIVITY]
        assert first_known[0].message_type == INCOMING


def test_the_sample_has_every_kind_of_content(simulator: ChatwootSimulator):
    rows = list(simulator.installation.messages.values())
    files = Counter(file.file_type for row in rows for file in row.attachments or [])
    assert set(files) == {"image", "file", "audio", "location"}
    assert sum(row.private for row in rows) >= 15
    assert sum(row.deleted for row in rows) == 2
    assert sum(len(row.content or "") > 1500 for row in rows) >= 4
    assert any(row.status == "failed" for row in rows)
    assert any("mention://user/" in (row.content or "") for row in rows)
    assert any((row.content_attributes or {}).get("in_reply_to") for row in rows)
    assert {row.content_type for row in rows} == {"text", "incoming_email", "input_csat"}


def test_a_reply_by_mail_quotes_the_mail_before_it(simulator: ChatwootSimulator):
    rows = [row for row in simulator.conversation(101).messages if row.content_type == "incoming_email"]
    mail = (rows[1].content_attributes or {})["email"]
    assert isinstance(mail, dict)
    new = mail["text_content"]["quoted"]
    assert new.startswith("Good price")
    assert rows[1].content == mail["text_content"]["reply"] == mail["text_content"]["full"]
    assert "wrote:\n> Hello Oliver," in (rows[1].content or "")
    assert mail["subject"] == "Re: Quote for 500 business cards and a van sign"
    assert mail["references"][0] == rows[0].source_id
