"""Words longer than an index entry are stored and found, and do not stop a run."""

import json
import random
import string
import time

import pytest

from proofdesk.indexing import documents, tokenizer
from tests.support.search_desk import Desk


def letters(number: int, alphabet: str = string.ascii_lowercase, seed: int = 1) -> str:
    """Return letters that do not compress. PostgreSQL compresses equal letters into a small index row."""
    return "".join(random.Random(seed).choices(alphabet, k=number))


LONG = letters(3000)
CYRILLIC = letters(3000, "абвгдежзиклмнопрстуфхцчшщэюя")
SIGNED = ".".join((letters(1500, seed=2), letters(1500, seed=3), letters(40, seed=4)))


@pytest.mark.parametrize("word", [LONG, CYRILLIC, SIGNED, LONG.upper(), f"{LONG}'s"])
@pytest.mark.fidelity(
    "PostgreSQL",
    "A btree entry has at most 2,704 bytes.",
    "tried with PostgreSQL 18",
)
async def test_long_word_does_not_hide_other_text(desk: Desk, word: str):
    await desk.talk(f"My token is {word} and the parcel is late")
    await desk.talk("The invoice is wrong")
    await desk.ready(embed=False)
    assert await desk.found("parcel") == [1]
    assert await desk.found("invoice") == [2]


@pytest.mark.parametrize("word", [LONG, CYRILLIC])
@pytest.mark.parametrize("typed", [10, 12, 40, 79, 80, 81, 500, 3000])
async def test_long_word_is_found_by_prefix_and_as_a_whole(desk: Desk, word: str, typed: int):
    await desk.talk("Nothing of that kind")
    await desk.talk(f"My token is {word} and the parcel is late")
    await desk.ready(embed=False)
    hit = await desk.first(word[:typed], mode="text")
    assert hit.conversation_id == 2
    assert f"[[{word[:80]}]]" in hit.snippet


async def test_whole_long_word_outranks_the_same_prefix(desk: Desk):
    other = LONG[:-1] + "ß"
    for word in (other, LONG, other):
        await desk.talk(f"My token is {word} and the parcel is late")
    await desk.ready(embed=False)
    assert (await desk.found(LONG))[0] == 2


async def test_short_word_does_not_match_a_prefix_of_a_long_one(desk: Desk):
    await desk.talk(f"My token is {LONG}")
    await desk.ready(embed=False)
    assert await desk.found(LONG[:9]) == []


async def test_megabyte_subject_does_not_stop_indexing(desk: Desk):
    await desk.talk("The parcel is late")
    attributes = json.dumps({"email": {"subject": letters(1_000_000)}})
    await desk.change("UPDATE cw_messages SET content_attributes = %(a)s", a=attributes)
    await desk.talk("The invoice is wrong")
    await desk.ready()
    assert await desk.found("parcel", mode="hybrid")
    assert await desk.found("invoice") == [2]


async def test_contact_name_can_be_any_text(desk: Desk):
    await desk.talk("The parcel is late", contact=(LONG, f"{LONG}@example.com", LONG))
    telegram = json.dumps({"social_telegram_user_id": LONG})
    await desk.change("UPDATE cw_contacts SET additional_attributes = %(a)s, email = email || 'x'", a=telegram)
    await desk.ready(embed=False)
    assert await desk.found(LONG) == [1]
    stored = await desk.rows("SELECT length(name), length(email), length(phone_number) FROM cw_contacts")
    assert stored == [(3000, 3013, 3000)], "nothing of what is stored is cut off"


@pytest.mark.parametrize(
    "text",
    ["a" * 150_000, "." * 150_000, "7" * 150_000, f"a{' ' * 150_000}b", "e" + "\u0301\u0323" * 75_000,
     "\U0001f600" * 150_000, "\U0001f469\u200d" * 75_000, f"{'a' * 150_000} b-c", "\ufdfa" * 150_000, '."' * 75_000,
     "a_" * 75_000 + " a-b", "1 " * 75_000, "返" * 150_000, "İ" * 150_000],
    ids=["letters", "dots", "digits", "spaces", "marks", "emoji", "joined emoji", "letters and a joint", "ligatures",
         "dots and quotes", "joints", "numbers", "CJK", "two of one"],
)  # fmt: skip
def test_indexing_time_is_linear_and_terms_are_bounded(text: str):
    began = time.process_time()
    document = documents.build_document([], [text])
    list(tokenizer.locate_exact_tokens(tokenizer.clean(text)))
    assert time.process_time() - began < 3
    terms = [*document.exact, *(word for _, word in document.stemmed)]
    assert max(map(len, terms), default=0) <= tokenizer.MAX_TERM_CHARS
