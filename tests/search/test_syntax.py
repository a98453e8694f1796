"""The query language: filters, phrases and excluded words mean the same in every place that searches."""

from datetime import UTC, datetime, timedelta

import pytest

from proofdesk.search.syntax import QueryFilters, parse_text
from tests.support.search_desk import Desk


def test_query_is_taken_apart():
    parsed = parse_text('money FROM:Ben inbox:"Web shop" label:vip contact:anna „Neue Karte“ -lamp')
    assert parsed.text == "money Neue Karte"
    assert parsed.filters == QueryFilters(
        authors=("Ben",), inboxes=("Web shop",), labels=("vip",), contacts=("anna",), phrases=("Neue Karte",),
        excluded=("lamp",),
    )  # fmt: skip
    assert parsed.hints == ()


def test_period_begins_with_after_and_ends_before_before():
    filters = parse_text("x after:2026-03-01 before:2026/04/01").filters
    assert filters.since == datetime(2026, 3, 1, tzinfo=UTC)
    assert filters.until == datetime(2026, 4, 1, tzinfo=UTC) - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("error:timeout", "`error:` is not a filter"),
        ("before:tomorrow", "needs a day"),
        ("before:0000-01-01", "needs a day"),
        ("-label:vip", "Only words can be excluded"),
        ("-check-in", "Only single words can be excluded"),
    ],
)
def test_unknown_filter_is_searched_as_text_with_a_hint(text: str, hint: str):
    parsed = parse_text(text)
    assert (parsed.text, parsed.filters) == (text, QueryFilters())
    assert hint in parsed.hints[0]


@pytest.mark.parametrize(
    "text",
    ["http://shop.example/a", "C:\\temp", "std::vector", "12:30", "from: me", "--help", "a - b", '"open', "key:"],
)
def test_other_text_with_signs_is_searched_without_a_hint(text: str):
    assert parse_text(text).text == text
    assert parse_text(text).hints == ()


@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lamp inbox:2", {5}),
        ('lamp inbox:"inbox 2"', {5}),
        ("lamp label:VIP", {5}),
        ("lamp label:none", set()),
        ("lamp contact:quigley", {5}),
        ("lamp contact:bart@quigley.example", {5}),
        ("lamp after:2026-03-07 before:2026-03-08", {5}),
        ("parcel before:2026-03-04", {1}),
        ('"broken lamp"', {5}),
        ('"lamp broken"', set()),
        ('"money  BACK" please', {5}),
        ('"roken lamp"', set()),
        ("invoice from:contact inbox:1 -parcel -jacket -app -0417", {3}),
        ("invoice -INV-2026-0418 -parcel -jacket -app -lamp", {2}),
        ("lamp from:100%", set()),
    ],
)
async def test_filters_of_the_query_keep_matching_hits(shop: Desk, mode: str, query: str, expected: set[int]):
    assert set(await shop.found(query, mode)) == expected


@pytest.mark.parametrize(("query", "sender"), [("app from:agent", "agent"), ("app from:Anna", "contact")])
async def test_from_names_a_side_or_an_author(shop: Desk, query: str, sender: str):
    results = (await shop.ask(query)).results
    assert {hit.sender_type for hit in results} == {sender}


async def test_filters_of_form_and_query_apply_together(shop: Desk):
    assert set(await shop.found("lamp label:refund", "hybrid", labels=["vip"])) == {5}
    assert await shop.found("lamp from:agent", "hybrid", sender="contact") == []


async def test_exact_phrase_ignores_case_in_every_script(desk: Desk):
    await desk.talk("ГДЕ МОЙ ЗАКАЗ номер пять")
    await desk.talk("мой новый заказ")
    await desk.talk("クレジットカードの返金")
    await desk.ready(embed=False)
    assert await desk.found('"мой заказ"') == [1]
    assert await desk.found('"カードの返金"') == [3]
    assert await desk.found("мой -номер") == [2]


async def test_query_of_filters_only_asks_for_a_word(shop: Desk):
    answer = await shop.ask("from:agent -lamp")
    assert answer.diagnosis
    assert (answer.diagnosis.code, "only filters" in answer.diagnosis.message) == ("no_match", True)


async def test_hints_are_part_of_the_result(shop: Desk):
    answer = await shop.ask("colour:green jacket")
    assert answer.results[0].conversation_id == 4
    assert answer.hints == [
        "`colour:` is not a filter and was searched as text. "
        "Filters are from:, inbox:, label:, before:, after:, contact:."
    ]
