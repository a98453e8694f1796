"""Answers without a model: quotes of messages, in order of time, or none."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from proofdesk.answers import message_queries, register
from proofdesk.answers.answer import ABSTAINED
from proofdesk.answers.answer_queries import AnswerFilter
from proofdesk.answers.message_queries import ReadWindow
from proofdesk.answers.questions import QuestionRequired
from proofdesk.answers.register import AnswerNotFound
from proofdesk.errors import Invalid
from proofdesk.search.query import SearchFilters
from tests.support.asking_desk import KOWALSKI, AskingDesk


def quotes(answer) -> list[str]:
    return [citation.quote for sentence in answer.sentences for citation in sentence.citations]


async def test_answer_quotes_a_message_with_who_and_when(desk: AskingDesk):
    answer = await desk.answer("How much do the curtains cost for Alena Moravec?")
    assert (answer.status, answer.mode, answer.model) == ("answered", "extractive", None)
    assert quotes(answer) == ["The linen curtains cost 240 € including hemming."]
    [sentence] = answer.sentences
    [citation] = sentence.citations
    assert citation.quote in sentence.text and sentence.text.startswith("Ben, 2026-03-04: ")
    assert (citation.sender_type, citation.sender_name) == ("agent", "Ben")
    assert citation.message_global_id == f"cwmsg:{desk.scope.project_id}:1:201"
    assert citation.source_url == "https://desk.example.com/app/accounts/1/conversations/2?messageId=201"
    assert citation.created_at == datetime(2026, 3, 4, 9, 1, tzinfo=UTC)


async def test_later_date_answers_and_names_the_earlier_one(desk: AskingDesk):
    answer = await desk.answer("When did we promise Mr Kowalski to deliver the sofa?")
    assert quotes(answer) == ["We will deliver the sofa on 19 March instead."]
    [old] = answer.superseded
    assert "12 March" in old.quote and old.message_global_id.endswith(":101") and old.by.endswith(":103")


@pytest.mark.parametrize(
    "question",
    [
        "When did we promise Alena Moravec to deliver the sofa?",  # it is another contact's
        "How much does the sofa of Henryk Kowalski cost?",  # nobody names its price
        "When did we promise Henryk Kowalski the wardrobe?",
        "Who approved the velvet armchair?",
    ],
)
async def test_answer_abstains_without_strong_evidence(desk: AskingDesk, question: str):
    answer = await desk.answer(question)
    assert (answer.status, answer.sentences, answer.message) == ("abstained", [], ABSTAINED)
    assert answer.diagnosis is not None and answer.diagnosis["code"] == "provider_not_configured"


async def test_private_notes_are_cited_only_on_request(desk: AskingDesk):
    question = "How much is our limit for the curtains of Alena Moravec?"
    assert all("200 €" not in quote for quote in quotes(await desk.answer(question)))
    assert any("200 €" in quote for quote in quotes(await desk.answer(question, include_private=True)))


async def test_filters_apply_to_citations(desk: AskingDesk):
    filters = SearchFilters(to=datetime(2026, 3, 3, 9, 2, tzinfo=UTC))
    answer = await desk.answer("When did we promise Mr Kowalski to deliver the sofa?", filters=filters)
    assert [quote[-9:] for quote in quotes(answer)] == ["12 March."] and not answer.superseded


async def test_question_has_1_to_2000_characters(desk: AskingDesk):
    for question in ("", "  ", "x" * 2001):
        with pytest.raises(QuestionRequired):
            await desk.answer(question)


async def test_register_keeps_questions_and_lists_those_without_answer(desk: AskingDesk):
    answered = await desk.answer("How much do the curtains cost for Alena Moravec?")
    abstained = await desk.answer("Who approved the velvet armchair?")
    listed, total = await register.list_answers(desk.db, desk.scope, AnswerFilter(), 10, 0)
    assert ([a.id for a in listed], total) == ([abstained.id, answered.id], 2)
    without, _ = await register.list_answers(desk.db, desk.scope, AnswerFilter(status="abstained"), 10, 0)
    assert [a.question for a in without] == ["Who approved the velvet armchair?"]
    assert (await register.get_answer(desk.db, desk.scope, str(answered.id))) == answered
    for unknown in (str(uuid4()), "none"):
        with pytest.raises(AnswerNotFound):
            await register.get_answer(desk.db, desk.scope, unknown)
    rows = await desk.rows("SELECT status, payload FROM audit_events WHERE action = 'answer.ask' ORDER BY id")
    assert [row[1]["status"] for row in rows] == ["answered", "abstained"]


async def test_edited_message_makes_the_answer_stale(desk: AskingDesk):
    answer = await desk.answer("How much do the curtains cost for Alena Moravec?")
    assert not answer.stale
    await desk.change("UPDATE cw_messages SET content = 'They cost 260 €.' WHERE message_id = 201")
    assert (await register.get_answer(desk.db, desk.scope, str(answer.id))).stale


async def test_deleted_message_takes_its_words_from_the_answer(desk: AskingDesk):
    answer = await desk.answer("How much do the curtains cost for Alena Moravec?")
    await desk.delete(201)
    later = await register.get_answer(desk.db, desk.scope, str(answer.id))
    assert later.stale and later.sentences[0].text == register.DELETED
    assert "240" not in str(later.sentences)


async def test_feedback_is_stored_and_audited(desk: AskingDesk):
    answer = await desk.answer("How much do the curtains cost for Alena Moravec?")
    rated = await register.give_feedback(desk.db, desk.scope, str(answer.id), False, "It was the wrong fabric.")
    assert (rated.useful, rated.comment) == (False, "It was the wrong fabric.")
    for useful, comment in (("yes", None), (None, None), (True, "x" * 2001), (True, 7)):
        with pytest.raises(Invalid):
            await register.give_feedback(desk.db, desk.scope, str(answer.id), useful, comment)
    with pytest.raises(AnswerNotFound):
        await register.give_feedback(desk.db, desk.scope, str(uuid4()), True, None)
    rows = await desk.rows("SELECT payload FROM audit_events WHERE action = 'answer.feedback'")
    assert rows == [({"useful": False},)]


async def test_old_answers_are_deleted(desk: AskingDesk):
    old = await desk.answer("Who approved the velvet armchair?")
    new = await desk.answer("How much do the curtains cost for Alena Moravec?")
    await desk.change("UPDATE answers SET created_at = now() - interval '31 days' WHERE id = %(id)s", id=old.id)
    assert await register.delete_old(desk.db, desk.scope, 30) == 1
    listed, _ = await register.list_answers(desk.db, desk.scope, AnswerFilter(), 10, 0)
    assert [a.id for a in listed] == [new.id]


async def test_messages_around_hits_and_the_last_ones_are_read(desk: AskingDesk):
    talk = await desk.talk(*(f"> Note number {n} about the lantern." for n in range(60)), contact=KOWALSKI)
    window = ReadWindow([talk * 100 + 20], last=4, around=3)
    async with desk.db.scoped(desk.scope) as conn:
        read = await message_queries.list_messages(conn, desk.scope, [(1, talk)], window, include_private=False)
    assert [m.message_id - talk * 100 for m in read] == [18, 19, 20, 21, 22, 23, 56, 57, 58, 59]
