"""What a question asks for, and the values that answer it."""

from datetime import date

import pytest

from proofdesk.answers import questions, values
from proofdesk.answers.dates import find_dates
from proofdesk.answers.names import same_name

WRITTEN = date(2026, 3, 4)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("It arrives on 12 March.", date(2026, 3, 12)),
        ("Lieferung am Dienstag, 17. März", date(2026, 3, 17)),
        ("Отправим 9 апреля утром", date(2026, 4, 9)),
        ("Lo entregamos el 30 de abril", date(2026, 4, 30)),
        ("It is due on 2026-12-24", date(2026, 12, 24)),
        ("Bis 27.3. ist es da", date(2026, 3, 27)),
        ("See you tomorrow", date(2026, 3, 5)),
        ("by Friday", date(2026, 3, 6)),
        ("by the 13th", date(2026, 3, 13)),
    ],
)
def test_dates_are_resolved_against_the_day_of_writing(text: str, day: date):
    assert any(day in mention.days for mention in find_dates(text, WRITTEN))


@pytest.mark.parametrize("text", ["from 17:30 on", "5,4 % of it", "may I ask", "31 February", "10,000 rows"])
def test_other_numbers_are_no_dates(text: str):
    assert find_dates(text, WRITTEN) == []


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When is the sofa delivered?", "date"),
        ("Bis wann kommt das Sofa?", "date"),
        ("К какому сроку будет диван?", "date"),
        ("¿Para cuándo estará el sofá?", "date"),
        ("How much is the sofa?", "amount"),
        ("Wie viele Stühle waren es?", "number"),
        ("Кто утвердил ткань?", "person"),
        ("Did we promise a sofa?", None),
    ],
)
def test_question_asks_for_a_kind_of_value(question: str, kind: str | None):
    assert questions.parse_question(question).expects == kind


def test_people_are_names_roles_and_relations():
    assert values.named_people("Devin approved the fabric") == {"devin"}
    assert values.named_people("Signed by my father") == {"father"}
    assert not values.named_people("Once the fabric is cut, it is final")
    assert not values.named_people("Henryk, thank you")


def test_names_are_compared_across_alphabets_and_cases():
    for first, second in (("Ковальской", "Ковальская"), ("Ковальский", "Kowalski"), ("Moravecs", "Moravec")):
        assert same_name(first, second)
    assert not same_name("Moravec", "Morales") and not same_name("Anna", "Anton")


@pytest.mark.parametrize("text", ["When is it due?", "wann kommt das Sofa", "¿Cuándo llega el sofá?", "где мой диван"])
def test_question_is_recognized(text: str):
    assert questions.is_question(text)
    assert not questions.is_question("sofa delivery late")
