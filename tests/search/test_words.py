"""Tokenizing: words, exact tokens, languages."""

import itertools
from collections import Counter

import pytest

from proofdesk.indexing import languages, tokenizer


def test_words_are_lower_case_with_accents():
    assert tokenizer.words("Größe 42, été — ЁЖ!") == ["größe", "42", "été", "ёж"]


def test_contraction_is_one_word_and_elision_two():
    assert tokenizer.words("don't, we'll, l’adresse") == ["don", "we", "l", "adresse"]
    assert tokenizer.words("Don't say 'tis rock'n'roll, dogs'!") == ["don", "say", "tis", "rock", "roll", "dogs"]


@pytest.mark.parametrize(
    "text", ["Lamp", "a lamp, LAMP2 lamp_lamp", "clamp lamps 2lamp lamp", "the lamp's, don't lamp"]
)
def test_find_words_agrees_with_tokenizing_the_text(text: str):
    among = {"lamp", "lamp2", "a", "don"}
    taken_apart = tokenizer.find_words(text + " é", among)  # texts with an accent take another path
    assert sorted(tokenizer.find_words(text, among)) == sorted(taken_apart)


@pytest.mark.parametrize(
    ("word", "plain"), [("été", "ete"), ("ёж", "еж"), ("йод", "йод"), ("straße", "strasse"), ("ñandú", "nandu")]
)
def test_accents_are_folded_but_other_letters_stay(word: str, plain: str):
    assert tokenizer.fold(word) == plain


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("see INV-2026-0417.", "inv-2026-0417"),
        ("write to Books@Studio.example!", "books@studio.example"),
        ("write to books@studio.example", "studio.example"),
        ("open https://help.example.com/start", "help.example.com"),
        ("the file report_final.pdf is empty", "report_final.pdf"),
        ("call +49 (151) 5550-1234 now", "4915155501234"),
        ("注文INV-2026-0417です", "inv-2026-0417"),
    ],
)
def test_numbers_addresses_and_file_names_are_exact_tokens(text: str, token: str):
    assert token in tokenizer.exact_tokens(tokenizer.clean(text))


def test_dash_between_letters_makes_no_exact_token():
    assert tokenizer.exact_tokens("check-in at self-service") == []


def test_text_without_spaces_becomes_character_pairs():
    assert tokenizer.words("返金したい") == ["返金", "金し", "した", "たい"]


def test_characters_that_postgresql_refuses_are_removed():
    assert tokenizer.clean("a\0b\ud800c\u00add") == "abcd"


def test_composed_and_decomposed_letters_are_equal():
    assert tokenizer.words(tokenizer.clean("cafe\u0301")) == tokenizer.words(tokenizer.clean("caf\u00e9"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("where is my order and when will it come", "english"),
        ("wo ist meine bestellung und wann kommt sie", "german"),
        ("je voudrais savoir où est mon colis", "french"),
        ("¿dónde está mi pedido? no lo tengo y quiero una respuesta", "spanish"),
        ("vorrei sapere quando arriva il mio pacco", "italian"),
        ("onde está a minha encomenda? não chegou", "portuguese"),
        ("waar is mijn pakket en wanneer komt het", "dutch"),
        ("ok", "english"),
    ],
)
def test_function_words_tell_the_language(text: str, language: str):
    assert languages.guess_language(Counter(tokenizer.words(text))) == language


def test_cyrillic_words_have_their_own_language():
    assert languages.word_language("заказ", "german") == "russian"


def test_equally_likely_languages_resolve_the_same_way():
    told = {
        "german": "ich nicht", "french": "vous avec", "spanish": "los muy", "italian": "gli sono",
        "portuguese": "obrigado meu", "dutch": "niet wij",
    }  # fmt: skip
    for first, second in itertools.combinations(told, 2):
        assert languages.guess_language(Counter(f"{told[second]} {told[first]}".split())) == first
