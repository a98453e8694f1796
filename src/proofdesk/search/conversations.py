"""Ranking conversations: by their words, by their meaning, and by both together."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.db.rows import Conn
from proofdesk.projects.scope import Scope
from proofdesk.search import meaning_queries, queries, ranking
from proofdesk.search.meaning_queries import ByMeaning
from proofdesk.search.queries import ByWords, Model, Narrowing, Weighted
from proofdesk.search.question import Question
from proofdesk.search.ranking import Ranked
from proofdesk.search.terms import Sought

BY_WORDS = 20  # conversations taken from the ranking by words, if no more are wanted
NEAREST = 50  # chunks taken from the ranking by meaning
NEAREST_ALONE = 600  # the same when nothing but meaning ranks
LOOKED_UP = 2000  # postings one search reads; of words beyond that, only those of the best conversations so far
COMPLETED = 50  # which are so many
COMPLETED_ALONE = 80  # the same when nothing but words ranks
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
    near += [ByMeaning(w.account_id, w.conversation_id, w.distance) for w in worded if w.distance is not None]
    return ranking.fused(worded, near)[: search.wanted]


async def _by_words(search: Search, near: Sequence[ByMeaning]) -> list[ByWords]:
    if search.question.mode == "vector" or not search.seeking.terms:
        return []
    most = max(BY_WORDS, search.wanted)
    rare, common = _by_rarity(search.seeking.terms)
    completed = max(COMPLETED if search.model else COMPLETED_ALONE, EACH * search.wanted) if common else most
    return await queries.by_words(
        search.conn,
        search.scope,
        rare,
        common,
        search.seeking.average,
        search.narrowing,
        most,
        completed,
        [n.key for n in near],
        search.model,
    )


def _by_rarity(terms: Sequence[Weighted]) -> tuple[list[Weighted], list[Weighted]]:
    """Terms to look up wherever they are, and those that so many conversations hold that only some are looked at."""
    held: dict[int, int] = {}
    for term in terms:
        held[term.word] = held.get(term.word, 0) + term.df
    looked_up: set[int] = set()
    read = 0
    for word in sorted(held, key=lambda word: held[word]):
        if read < COMPLETED_ALONE or read + held[word] <= LOOKED_UP:
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
