"""Which chunks are shown of the conversations that were found. Pure."""

from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from proofdesk.search import ranking, snippets, terms, words
from proofdesk.search.conversations import Best, Search
from proofdesk.search.ranking import Placed, identity
from proofdesk.search.snippets import Snippet
from proofdesk.search.terms import Sought, Worth

_T = TypeVar("_T")
_Of = dict[tuple[int, int, int], _T]


@dataclass(frozen=True)
class Passage:
    """A chunk with its place among the hits, and the part that shows why it was found."""

    place: Placed
    snippet: Snippet


def best_passages(search: Search, best: Best) -> list[Passage]:
    """At most `top_k` chunks: of each conversation the one that answers best, then the second best of each."""
    texts = {identity(chunk): words.clean(chunk.text) for chunk in best.chunks}
    surfaces, tokens, worth = _matching(best.seeking, texts)
    conversations = [list(chunks) for _, chunks in groupby(best.chunks, key=lambda chunk: chunk.key)]
    by_words_alone = best.meant.model is None
    if by_words_alone and search.narrowing.of_chunks:
        # Of the chunks that filters by time and sender leave, one must hold a word of the question.
        conversations = [chunks for chunks in conversations if any(worth[identity(chunk)] for chunk in chunks)]
    placed = ranking.placed(conversations, worth, search.question.top_k, matching_only=by_words_alone)
    return [Passage(place, snippets.cut(texts[identity(place.chunk)], surfaces, tokens)) for place in placed]


def _matching(seeking: Sought, texts: _Of[str]) -> tuple[Worth, Worth, _Of[float]]:
    """The words and exact tokens of these texts that answer the question, and what they are worth in each text."""
    if not seeking.terms:
        return {}, {}, dict.fromkeys(texts, 0.0)
    tokens = seeking.exact
    spoken = {key: words.words(text) for key, text in texts.items()}
    exact = {key: words.exact(text) if tokens else [] for key, text in texts.items()}
    surfaces = terms.surfaces(seeking, set().union(*spoken.values()))
    return surfaces, tokens, {key: snippets.worth(spoken[key], exact[key], surfaces, tokens) for key in texts}
