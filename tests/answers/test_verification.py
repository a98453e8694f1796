"""Verification of single sentences: what passes, and what does not."""

from datetime import UTC, datetime

import pytest

from proofdesk.answers.message_queries import CitableMessage
from proofdesk.answers.quoting import locate_quote
from proofdesk.answers.verification import DraftSentence, Quotation, verify_sentence


def message(text: str, side: str = "agent", name: str = "Ben Ode", contact: str = "Alena Moravec") -> CitableMessage:
    return CitableMessage(1, 2, 3, 4, contact, side, name, False, text, datetime(2026, 3, 4, 9, 0, tzinfo=UTC))


def problems(text: str, quote: str, source: CitableMessage | None = None) -> list[str]:
    return verify_sentence(DraftSentence(text, [Quotation(source or message(quote), quote)]))


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Ben promised Alena Moravec the curtains by 19 March 2026.", "You will get the curtains by 19 March."),
        ("The curtains are delivered on 5 March.", "We deliver the curtains tomorrow."),
        ("Die Lieferung erfolgt am 21. April.", "Wir liefern am 21. April."),
        ("Die Rechnung beträgt 1.200 €.", "Die Rechnung beläuft sich auf 1200 €."),
        ("Бен обещал доставить шторы 19 марта.", "Доставим шторы 19 марта."),
        ("El presupuesto es de 240 euros.", "El presupuesto es de 240 €."),
        ("Ben wrote that they cannot hem velvet.", "We can't hem velvet."),
        ("The refund goes out today.", "No problem, the refund goes out today!"),
        ("The delivery was promised for 21 April.", "Die Lieferung kommt am 21. April."),
    ],
)
def test_supported_sentence_passes(text: str, quote: str):
    assert problems(text, quote) == []


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("The curtains come on 20 March.", "You will get the curtains by 19 March."),
        ("The curtains cost 340 €.", "The curtains cost 240 €."),
        ("Seven curtains are ready.", "Two curtains are ready."),
        ("Zora promised the curtains.", "I promise the curtains."),
        ("The customer promised the curtains by 19 March.", "I promise the curtains by 19 March."),
        ("Alena promised the curtains by 19 March.", "I promise the curtains by 19 March."),
        ("We can hem velvet curtains.", "We cannot hem velvet curtains."),
        ("The manager approved the refund.", "Thank you very much for your patience."),
        ("Die Vorhänge kommen nicht am 19. März.", "Die Vorhänge kommen am 19. März."),
        ("The curtains cost 240 €.", "Do the curtains cost 240 €?"),
        ("The curtains are ready.", "curtains"),
        ("", "The curtains are ready."),
        ("x" * 601, "The curtains are ready."),
    ],
)
def test_unsupported_sentence_fails(text: str, quote: str):
    assert problems(text, quote, message(f"Hello. {quote} Bye, see you."))


def test_quote_is_a_substring_apart_from_space_and_quotation_marks():
    text = "She said:\n  „We’ll deliver –  on Monday“, and left."
    assert locate_quote(text, '"We\'ll deliver - on Monday"') == "„We’ll deliver –  on Monday“"
    for other in ("we'll deliver - on monday", "We'll deliver on Monday", "", " "):
        assert locate_quote(text, other) is None
