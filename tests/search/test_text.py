"""Keyword search: stems of several languages, numbers, addresses, misspelt names, short answers."""

import pytest

from proofdesk.search import fusion, keyword
from proofdesk.search.queries import SimilarTerm
from tests.support.search_desk import Desk

MULTILINGUAL = (
    "Ich möchte meine Bestellung zurückgeben, die Größe passt nicht",
    "Je n'ai pas reçu ma commande, je veux être remboursée",
    "Quiero una devolución, los zapatos no me quedan bien y son para mi hijo",
    "Здравствуйте, где мой заказ? Ёлка всё ещё не пришла",
    "I would like to return my order, the shoes are too small",
)


@pytest.fixture
async def world(desk: Desk) -> Desk:
    """One conversation each in German, French, Spanish, Russian and English."""
    for text in MULTILINGUAL:
        await desk.talk(text)
    await desk.ready(embed=False)
    return desk


@pytest.mark.parametrize(
    ("query", "conversation"),
    [
        ("Bestellungen", 1),
        ("GRÖSSE", 1),
        ("grosse", 1),
        ("remboursement remboursé", 2),
        ("remboursee", 2),
        ("commandes", 2),
        ("devoluciones", 3),
        ("devolucion", 3),
        ("zapato", 3),
        ("заказы", 4),
        ("елки", 4),
        ("returned orders", 5),
        ("shoe", 5),
    ],
)
async def test_inflected_forms_are_found_in_every_language(world: Desk, query: str, conversation: int):
    assert (await world.found(query))[0] == conversation


async def test_invoice_number_ranks_its_conversation_first(shop: Desk):
    assert (await shop.found("where is invoice INV-2026-0418 please"))[0] == 3
    assert (await shop.found("inv-2026-0417"))[0] == 2
    assert (await shop.found("0417")) == [2]


async def test_email_address_in_a_message_is_found(shop: Desk):
    hit = await shop.first("BOOKS@studio.example", "text")
    assert hit.conversation_id == 2
    assert "[[books@studio.example]]" in hit.snippet


@pytest.mark.parametrize("query", ["bart@quigley.example", "Quigley", "+44 20 7946 0018", "020 7946 0018"])
async def test_contact_is_found_by_name_address_and_phone(shop: Desk, query: str):
    assert (await shop.found(query))[0] == 5


@pytest.mark.parametrize("query", ["Bartolomew", "Quigly", "bartholemew quigly", "Bartohlomew", "Qiugley"])
async def test_misspelt_name_finds_the_similar_one(shop: Desk, query: str):
    assert await shop.found(query) == [5]


@pytest.mark.parametrize(
    ("spelling", "similar"),
    [
        ("refnud", ["refund"]),
        ("adres", ["address", "acres"]),
        ("lamp", ["lamb"]),
        ("recieve", ["receive"]),
        ("tommorow", ["tomorrow"]),
        ("boiler", []),
        ("4471", []),
    ],
)
def test_similar_terms_are_ranked_by_edit_distance(spelling: str, similar: list[str]):
    terms = ("refund", "address", "acres", "lamb", "receive", "tomorrow", "4417", "broken")
    candidates = [SimilarTerm(spelling, term, 1, 0.5) for term in terms]
    matches = keyword.similar_terms(spelling, candidates)
    assert sorted(term.term for term in matches) == sorted(similar)
    assert all(keyword.MIN_SIMILARITY <= similarity < 1 for similarity in matches.values())


async def test_misspelt_cyrillic_word_finds_the_similar_one(world: Desk):
    assert await world.found("здраствуйте") == [4]


async def test_known_word_is_not_corrected(shop: Desk):
    assert await shop.found("lamp") == [5]


async def test_short_answer_is_found(shop: Desk):
    hit = await shop.first("size 42", "text")
    assert hit.conversation_id == 4
    assert "[[42]]" in hit.snippet


async def test_shown_chunk_holds_the_query_words(shop: Desk):
    hit = await shop.first("euros refund lamp", "text")
    assert "59 euros" in hit.text
    assert "[[refund]]" in hit.snippet


async def test_query_words_may_be_spread_over_a_conversation(shop: Desk):
    assert (await shop.found("lamp refund card"))[0] == 5


async def test_common_words_do_not_hide_a_rare_one(desk: Desk):
    for number in range(8):
        await desk.talk(f"Hello, I have a question about my order number {number}")
    await desk.talk("Hello, I have a question about my zeppelin")
    await desk.ready(embed=False)
    assert (await desk.found("I have a question about my zeppelin"))[0] == 9


async def test_common_terms_are_read_for_the_best_candidates_only(shop: Desk, monkeypatch):
    query = "please send the invoice INV-2026-0418"
    at_once = (await shop.ask(query, "text")).results
    monkeypatch.setattr(fusion, "MAX_POSTINGS_ALONE", 0)
    monkeypatch.setattr(fusion, "COMPLETED_CANDIDATES_ALONE", 3)
    later = (await shop.ask(query, "text")).results
    assert [hit.id for hit in later[:2]] == [hit.id for hit in at_once[:2]]
    assert len(later) < len(at_once)


async def test_notes_activities_and_deleted_messages_are_not_found(desk: Desk):
    await desk.talk("Hello, is anybody there today?", "> note: this is a kleptomaniac", "* Assigned to xylophone")
    await desk.talk("The secret word is abracadabra, tell nobody about it", "> Thank you, we will keep it to us")
    await desk.ready(embed=False)
    assert await desk.found("abracadabra") == [2]
    await desk.delete(200)
    shown = (await desk.ask("abracadabra", "text")).results  # before the message is indexed again
    assert not any("abracadabra" in hit.text for hit in shown)
    await desk.ready(embed=False)
    assert [await desk.found(word) for word in ("kleptomaniac", "xylophone", "abracadabra")] == [[], [], []]
    assert await desk.rows("SELECT count(*) FROM search_terms WHERE term LIKE 'abraca%%'", x=0) == [(0,)]


async def test_deleted_conversation_is_not_found(shop: Desk):
    await shop.change("DELETE FROM cw_conversations WHERE conversation_id = 5")
    assert await shop.found("lamp") == []


@pytest.mark.parametrize("query", ["\0", "\ud800", "a\0b\ud800", "%%% ' OR 1=1 --", "[[", "x" * 4000, "é " * 2000])
async def test_unusual_text_breaks_nothing(shop: Desk, query: str):
    for mode in ("text", "vector", "hybrid"):
        await shop.ask(query, mode)


async def test_very_long_query_has_a_result(shop: Desk):
    assert (await shop.found(("the broken lamp " * 300)[:4000]))[0] == 5
