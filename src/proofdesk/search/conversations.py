"""Ranking conversations: by their words, by their meaning, and by both together."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.db.rows import Conn
from proofdesk.projects.scope import Scope
from proofdesk.search import meaning_queries, queries, ranking
from proofdesk.search.meaning_queries import ByMeaning, Model
from proofdesk.search.queries import ByWords, Narrowing, Weighted
from proofdesk.search.question import Question
from proofdesk.search.ranking import Ranked
from proofdesk.search.terms import Sought

BY_WORDS = 20  # conversations taken from the ranking by words, if no more are wanted
NEAREST = 50  # chunks taken from the ranking by meaning
NEAREST_ALONE = 600  # the same when nothing but meaning ranks
LOOKED_UP = 2000  # postings one search reads; of words beyond that, only those of the best conversations so far
COMPLETED = 80  # which are so many
EACH = 4  # of both, chunks and conversations looked at, at least so many for each conversation that is wanted
COMPARED = 8000  # vectors left by filters that are rather compared one by one than looked up in the index
WITHIN = 4  # so many times more conversations are looked at when filters apply within them


@dataclass(frozen=True)
class Search:
    """What the steps of one search share, its transaction among them. `model` is None without a vector."""

    conn: Conn
    scope: Scope
    question: Question
    narrowing: Narrowing
    model: Model | None
    seeking: Sought

    @property
    def wanted(self) -> int:
        """How many conversations to bring up: filters may leave nothing to show of some."""
        return self.question.top_k * (WITHIN if self.narrowing.of_chunks else 1)


async def best_conversations(search: Search) -> list[Ranked]:
    """The conversations in the order of their scores; some more than asked for where filters apply within them."""
    near = await _by_meaning(search)
    worded = await _by_words(search, near)
    if worded and search.model:
        near += await _distances(search, worded, near)
    return ranking.fused(worded, near)[: search.wanted]


async def _by_words(search: Search, near: Sequence[ByMeaning]) -> list[ByWords]:
    if search.question.mode == "vector" or not search.seeking.terms:
        return []
    most = max(BY_WORDS, search.wanted)
    rare, common = _by_rarity(search.seeking.terms)
    also = {n.key for n in near}
    found = await queries.by_words(
        search.conn,
        search.scope,
        rare,
        common,
        search.seeking.average,
        search.narrowing,
        max(COMPLETED, EACH * search.wanted) if common else most,
        sorted(also),
    )
    return [f for place, f in enumerate(found) if place < most or f.key in also]


def _by_rarity(terms: Sequence[Weighted]) -> tuple[list[Weighted], list[Weighted]]:
    """Terms to look up wherever they are, and those that so many conversations hold that only some are looked at."""
    held: dict[int, int] = {}
    for term in terms:
        held[term.word] = held.get(term.word, 0) + term.df
    looked_up: set[int] = set()
    read = 0
    for word in sorted(held, key=lambda word: held[word]):
        if read < COMPLETED or read + held[word] <= LOOKED_UP:
            looked_up.add(word)
            read += held[word]
    return [t for t in terms if t.word in looked_up], [t for t in terms if t.word not in looked_up]


async def _by_meaning(search: Search) -> list[ByMeaning]:
    model = search.model
    if model is None:
        return []
    conn, scope, narrowing = search.conn, search.scope, search.narrowing
    most = NEAREST_ALONE if search.question.mode == "vector" else max(NEAREST, EACH * search.wanted)
    if narrowing.narrows:
        left = await meaning_queries.comparable(conn, scope, model.name, narrowing, COMPARED + 1)
        if left <= COMPARED:
            return await meaning_queries.nearest_of_all(conn, scope, model, narrowing, most)
    return await meaning_queries.nearest(conn, scope, model, narrowing, most)


async def _distances(search: Search, worded: Sequence[ByWords], near: Sequence[ByMeaning]) -> list[ByMeaning]:
    """How near the conversations are that only their words brought up."""
    known = {n.key for n in near}
    missing = [w.key for w in worded if w.key not in known]
    if not missing or search.model is None:
        return []
    return await meaning_queries.distances(search.conn, search.scope, search.model, search.narrowing, missing)
