"""Which chunks are shown of the conversations that were found. Pure."""

from dataclasses import dataclass
from itertools import groupby

from proofdesk.indexing import tokenizer
from proofdesk.search import keyword, ranking, snippets
from proofdesk.search.fusion import RankedConversations, SearchRequest
from proofdesk.search.keyword import Worth
from proofdesk.search.ranking import Matched, Placed
from proofdesk.search.snippets import Snippet


@dataclass(frozen=True)
class Passage:
    """A chunk with its place among the hits, and the part that shows why it was found."""

    place: Placed
    snippet: Snippet


def best_passages(search: SearchRequest, best: RankedConversations) -> list[Passage]:
    """At most `top_k` chunks: of each conversation the one that answers best, then the second best of each."""
    surfaces, tokens, matched = _matched(best)
    conversations = [list(chunks) for _, chunks in groupby(matched, key=lambda one: one.chunk.key)]
    by_words_alone = best.embedded.model is None
    if by_words_alone and search.filters.filters_chunks:
        # Of the chunks that filters by time and sender leave, one must hold a word of the question.
        conversations = [chunks for chunks in conversations if any(one.worth for one in chunks)]
    placed = ranking.placed(conversations, search.query.top_k, matching_only=by_words_alone)
    return [Passage(place, snippets.cut(place.text, surfaces, tokens)) for place in placed]


def _matched(best: RankedConversations) -> tuple[Worth, Worth, list[Matched]]:
    """The words and exact tokens of the chunks that answer the question, and what they are worth in each chunk."""
    chunks, texts = best.chunks, [tokenizer.clean(chunk.text) for chunk in best.chunks]
    tokens = best.terms.exact
    said = [tokenizer.words(text) + tokenizer.letters(text) for text in texts]
    exact = [tokenizer.exact(text) if tokens else list[str]() for text in texts]
    surfaces = keyword.surfaces(best.terms, set[str]().union(*said))
    worth = [snippets.worth(*found, surfaces, tokens) for found in zip(said, exact, strict=True)]
    return surfaces, tokens, list(map(Matched, chunks, texts, worth))
