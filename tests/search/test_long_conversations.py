"""Long conversations: the matching chunk is found, and a search reads a bounded number of chunks."""

import pytest
from pgvector import HalfVector

from proofdesk.indexing import documents
from proofdesk.search import chunk_queries, queries, ranking_queries
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.ranking_queries import RankingParams
from tests.support.embedding import local_model
from tests.support.plans import explained, rows_read
from tests.support.search_desk import START, Desk

SHORT, LONG = (
    chunk_queries.WHOLE_CONVERSATION + 12,
    99,
)  # messages: more than are looked at; Desk numbers up to a hundred
SMALL_TALK = "We spoke about the weather again and about nothing else, number {}"


async def long_talk(desk: Desk, *told: tuple[int, str], length: int = LONG) -> int:
    """Store a conversation of small talk with the messages at these places."""
    lines = [SMALL_TALK.format(number) for number in range(length)]
    for place, text in told:
        lines[place] = text
    return await desk.talk(*lines)


@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_matching_message_in_the_middle_is_shown(desk: Desk, mode: str):
    number = await long_talk(
        desk,
        (20, "The lamp in the kitchen gives too little light for us"),
        (40, "The boiler in the cellar is broken since Monday, it drips"),
        (60, "The boiler man comes tomorrow, so they said on the phone"),
    )
    await desk.ready()
    hit = await desk.first("broken boiler", mode)
    assert (hit.conversation_id, hit.message_global_id.rpartition(":")[2]) == (number, str(number * 100 + 40))
    assert "[[broken]]" in hit.snippet and "[[boiler]]" in hit.snippet


async def test_short_message_is_shown_in_the_chunk_that_holds_it(desk: Desk):
    number = await long_talk(desk, (40, "Which size shall I order for the jacket?"), (41, "Fortytwo"))
    await desk.ready(embed=False)
    hit = await desk.first("fortytwo", "text")
    assert hit.message_global_id.endswith(f":{number * 100 + 40}") and "[[Fortytwo]]" in hit.snippet


async def test_word_late_in_a_long_message_is_shown(desk: Desk):
    said = "This is a sentence about the weather and about nothing else. "
    await long_talk(desk, (40, said * 60 + "The zeppelin has landed behind the house. " + said * 60))
    await desk.ready(embed=False)
    assert "[[zeppelin]]" in (await desk.first("zeppelin", "text")).snippet


async def test_edited_message_no_longer_matches_its_old_word(desk: Desk):
    number = await long_talk(
        desk, (20, "The boiler in the cellar is broken since Monday, it drips"),
        (40, "The boiler in the kitchen is broken since Sunday, it drips"),
    )  # fmt: skip
    await desk.ready(embed=False)
    await desk.change(
        "UPDATE cw_messages SET content = %(text)s WHERE message_id = %(m)s",
        text="The weather was fine all the day long", m=number * 100 + 40,
    )  # fmt: skip
    await desk.change("UPDATE cw_conversations SET content_version = content_version + 1", x=0)
    await desk.ready(embed=False)
    (places,) = (await desk.rows("SELECT places FROM search_postings WHERE term = 'boiler'"))[0]
    assert places == [number * 100 + 20]
    assert (await desk.first("broken boiler", "text")).message_global_id.endswith(f":{number * 100 + 20}")


async def test_single_conversation_fills_the_list_with_its_chunks(desk: Desk):
    await long_talk(desk, *((place, f"The boiler drips, I said it {place} times already") for place in range(0, 90, 2)))
    await desk.ready()
    for mode in ("text", "hybrid"):
        answer = await desk.ask("boiler drips", mode, top_k=40)
        assert len(answer.results) == 40 and all("[[boiler]]" in hit.snippet for hit in answer.results)


async def test_filters_apply_to_chunks_of_a_long_conversation(desk: Desk):
    number = await long_talk(
        desk, (20, "The boiler in the cellar is broken since Monday, it drips"),
        (40, "> The boiler in the kitchen is broken since Sunday, it drips"),
    )  # fmt: skip
    await desk.ready()
    start = START.replace(day=START.day + number)
    for mode in ("text", "hybrid"):
        from_agent = await desk.first("broken boiler", mode, sender="agent")
        assert from_agent.message_global_id.endswith(f":{number * 100 + 40}")
        early = await desk.first("broken boiler", mode, to=start.replace(minute=30))
        assert early.message_global_id.endswith(f":{number * 100 + 20}")


async def test_only_the_latest_places_of_a_frequent_word_are_stored(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(documents, "MOST_PLACES", 5)
    number = await long_talk(desk)
    await desk.ready(embed=False)
    ((places,),) = await desk.rows("SELECT places FROM search_postings WHERE term = 'weather'")
    assert places == [number * 100 + place for place in range(LONG - 5, LONG)]


async def test_short_conversation_has_no_places(desk: Desk):
    await long_talk(desk, length=documents.LONG_MESSAGES)
    await desk.ready(embed=False)
    assert await desk.rows("SELECT count(*) FROM search_postings WHERE places IS NOT NULL") == [(0,)]


@pytest.mark.parametrize("by_meaning", [False, True])
async def test_longer_conversation_does_not_read_more_chunks(desk: Desk, database_url: str, by_meaning: bool):
    read: list[dict[str, int]] = []
    # The second conversation is not compared: with statistics of the first only, it may get another plan.
    for length in (SHORT, (SHORT + LONG) // 2, LONG):
        number = await long_talk(
            desk,
            *((place, f"The boiler{length} drips a lot into the cellar") for place in range(length)),
            length=length,
        )
        await desk.ready()
        vector = await local_model().embed_query("a boiler that drips")
        model = QueryVector(local_model().name, len(vector), HalfVector(list(vector))) if by_meaning else None
        ranking = RankingParams([WeightedTerm(1, f"boiler{length}", 2.0, 1)], [], 100.0, 9, 9, model, 10)
        async with explained(database_url, desk.scope, queries.transaction_settings(100, False)) as (conn, plans):
            found = await (
                await ranking_queries.select_best_chunks(conn, desk.scope, ranking, FilterParams())
            ).fetchall()
            assert {one.conversation_id for one in found} == {number}
            read.append(rows_read(await plans.nodes()))
    assert read[-1]["rag_chunks"] <= read[0]["rag_chunks"] + 2 * chunk_queries.CHUNKS_PER_MESSAGE
    assert read[-1]["rag_vectors"] <= read[0]["rag_vectors"] + 2
