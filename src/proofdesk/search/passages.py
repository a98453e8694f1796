"""Which chunks are shown of the conversations that were found. Pure."""

from dataclasses import dataclass
from itertools import groupby

from proofdesk.indexing import tokenizer
from proofdesk.search import keyword, ranking, snippets
from proofdesk.search.fusion import RankedConversations, SearchRequest
from proofdesk.search.keyword import MatchWeights
from proofdesk.search.ranking import RankedChunk, ScoredChunk
from proofdesk.search.snippets import Snippet


@dataclass(frozen=True)
class RankedHit:
    """A chunk with its place among the hits, and the part that shows why it was found."""

    chunk: RankedChunk
    snippet: Snippet


def select_hits(request: SearchRequest, ranked: RankedConversations) -> list[RankedHit]:
    """At most `top_k` chunks: of each conversation the one that answers best, then the second best of each."""
    surfaces, tokens, matched = _matched(ranked)
    conversations = [list(chunks) for _, chunks in groupby(matched, key=lambda one: one.chunk.key)]
    by_words_alone = ranked.embedded.vector is None
    if by_words_alone and request.filters.filters_chunks:
        # Of the chunks that filters by time and sender leave, one must hold a word of the question.
        conversations = [chunks for chunks in conversations if any(one.weight for one in chunks)]
    placed = ranking.rank_chunks(conversations, request.query.top_k, matching_only=by_words_alone)
    return [RankedHit(place, snippets.make_snippet(place.text, surfaces, tokens)) for place in placed]


def _matched(best: RankedConversations) -> tuple[MatchWeights, MatchWeights, list[ScoredChunk]]:
    """The words and exact tokens of the chunks that answer the question, and what they are worth in each chunk."""
    chunks, texts = best.chunks, [tokenizer.clean(chunk.text) for chunk in best.chunks]
    tokens = best.terms.exact_weights
    said = [tokenizer.words(text) + tokenizer.letters(text) for text in texts]
    exact = [tokenizer.exact(text) if tokens else list[str]() for text in texts]
    surfaces = keyword.matching_words(best.terms, set[str]().union(*said))
    worth = [snippets.match_weight(*found, surfaces, tokens) for found in zip(said, exact, strict=True)]
    return surfaces, tokens, list(map(ScoredChunk, chunks, texts, worth))
