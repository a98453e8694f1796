"""Stems of words."""

import pytest

from proofdesk.indexing import languages, stemmer


@pytest.mark.parametrize(
    ("language", "word", "terms"),
    [
        ("english", "arrived", ("arriv",)),
        ("english", "can", ("can",)),
        ("german", "bestellungen", ("bestell",)),
        ("russian", "заказы", ("заказ",)),
        ("russian", "ещё", ("ещ",)),
        ("spanish", "pagaría", ("pag", "pagari")),
    ],
)
def test_words_are_stored_as_stems_without_accents(language: str, word: str, terms: tuple[str, ...]):
    assert stemmer.word_terms(language, word) == terms


def test_word_is_found_without_its_accents():
    assert set(stemmer.word_terms("spanish", "pagaria")) & set(stemmer.word_terms("spanish", "pagaría"))


@pytest.mark.parametrize("language", languages.NAMES)
def test_each_detected_language_has_a_stemmer(language: str):
    assert stemmer.word_terms(language, "x") == ("x",)
