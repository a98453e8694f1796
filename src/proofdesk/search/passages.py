"""Which chunks are shown of the conversations that were found."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from proofdesk.search import meaning_queries, ranking, snippets, terms, words
from proofdesk.search.conversations import Search
from proofdesk.search.meaning_queries import Candidate
from proofdesk.search.queries import Key
from proofdesk.search.ranking import Placed, Ranked, identity
from proofdesk.search.snippets import Snippet
from proofdesk.search.terms import Worth

_T = TypeVar("_T")
_Of = dict[tuple[int, int, int], _T]


@dataclass(frozen=True)
class Passage:
    """A chunk with its place among the hits, and the part that shows why it was found."""

    place: Placed
    snippet: Snippet


async def best_passages(search: Search, conversations: Sequence[Ranked]) -> list[Passage]:
    """At most `top_k` chunks: of each conversation the one that answers best, then the second best of each."""
    by_conversation: dict[Key, list[Candidate]] = defaultdict(list)
    for chunk in await _chunks(search, conversations):
        by_conversation[chunk.key].append(chunk)
    texts = {identity(c): words.clean(c.text) for found in by_conversation.values() for c in found}
    surfaces, tokens, worth = await _matching(search, texts)
    placed = ranking.placed(
        _answering(search, conversations, by_conversation, worth),
        by_conversation,
        worth,
        search.question.top_k,
        matching_only=search.model is None,
    )
    return [Passage(place, snippets.cut(texts[identity(place.chunk)], surfaces, tokens)) for place in placed]


async def _matching(search: Search, texts: _Of[str]) -> tuple[Worth, Worth, _Of[float]]:
    """The words and exact tokens of these texts that answer the question, and what they are worth in each text."""
    if search.question.mode == "vector" or not search.seeking.terms:
        return {}, {}, dict.fromkeys(texts, 0.0)
    tokens = search.seeking.exact
    spoken = {key: words.words(text) for key, text in texts.items()}
    exact = {key: words.exact(text) if tokens else [] for key, text in texts.items()}
    surfaces = await terms.surfaces(search.conn, search.seeking, {word for said in spoken.values() for word in said})
    return surfaces, tokens, {key: snippets.worth(spoken[key], exact[key], surfaces, tokens) for key in texts}


def _answering(
    search: Search,
    conversations: Sequence[Ranked],
    by_conversation: dict[Key, list[Candidate]],
    worth: _Of[float],
) -> list[Ranked]:
    """The conversations that have something to show.

    Filters by time and sender leave some chunks of a conversation: unless meaning was asked for, too, one of those
    must hold a word of the question.
    """
    if search.model is not None or not search.narrowing.of_chunks:
        return [one for one in conversations if by_conversation[one.key]]
    return [one for one in conversations if any(worth[identity(c)] for c in by_conversation[one.key])]


async def _chunks(search: Search, conversations: Sequence[Ranked]) -> list[Candidate]:
    keys = [one.key for one in conversations]
    return await meaning_queries.chunks(search.conn, search.scope, search.model, search.narrowing, keys)
