import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofdesk.indexing.chunking import sentences


def squeezed(text: str) -> str:
    return "".join(text.split())


PROSE = st.lists(
    st.sampled_from(
        ["Да.", "Where is it?", "Dr. Weiß kommt um 9.", "¿Qué talla?", "слово " * 9, "x" * 70, "\n\n", "👩🏽‍🔧!"]
    ),
    max_size=40,
).map(" ".join)


@given(PROSE | st.text(max_size=400), st.integers(40, 200), st.integers(0, 20), st.integers(0, 30))
def test_pieces_lose_nothing_and_fit_the_size(text: str, size: int, shortest: int, reserved: int):
    pieces = sentences.pack(text, size, shortest=shortest, reserved=reserved)
    assert squeezed("".join(pieces)) == squeezed(text)
    assert all(0 < len(piece) <= size for piece in pieces)
    assert not pieces or len(pieces[0]) <= size - reserved


@given(st.text("aé👩🏽‍🔧", min_size=50, max_size=300), st.integers(40, 90))
def test_grapheme_clusters_are_not_split(text: str, size: int):
    for piece in sentences.pack(text, size)[1:]:
        assert not unicodedata.category(piece[0]).startswith("M")
        assert piece[0] not in "\u200d\ufe0f🏽"


@pytest.mark.parametrize(
    "marked",
    [
        "The coat is blue. |It comes in size 42. |We ship on Friday!",
        "Der Mantel ist blau. |Er kostet z. B. 90 Euro. |Lieferung am 3. Oktober!",
        "Le manteau est bleu. |« Parfait ! » |Vous livrez en Suisse ?",
        "El abrigo es azul. |La Sra. Gómez pregunta. |¿Llega el viernes?",
        "Пальто синее. |Стоит 900 руб. за штуку. |Привезёте в пятницу?",
        "i want the coat. |can you send it. |thanks",
        "外套是蓝色的。|有四十二码吗？|谢谢",
    ],
)
def test_sentences_are_split_in_several_languages(marked: str):
    assert list(sentences.split_sentences(marked.replace("|", ""))) == marked.split("|")


def test_a_short_last_piece_takes_a_sentence():
    text = "The first sentence is here. The second one is here too. Yes."
    assert sentences.pack(text, 56, shortest=10) == ["The first sentence is here.", "The second one is here too. Yes."]


def test_the_tail_of_a_text_begins_with_a_sentence():
    assert sentences.tail("The coat is blue. Which size do you need?", 30) == "Which size do you need?"


def test_the_tail_of_one_long_sentence_begins_with_a_word():
    assert sentences.tail("which of all the sizes do you need", 15) == "do you need"
