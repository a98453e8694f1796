"""Select the chunks of the ranked conversations that are shown as hits. Pure."""

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
    """A ranked chunk with its snippet."""

    chunk: RankedChunk
    snippet: Snippet


def select_hits(request: SearchRequest, ranked: RankedConversations) -> list[RankedHit]:
    """Return at most `top_k` chunks: the best chunk of each conversation, then the second best of each, and so on."""
    words, tokens, scored = _score(ranked)
    conversations = [list(chunks) for _, chunks in groupby(scored, key=lambda chunk: chunk.chunk.key)]
    keyword_only = ranked.embedded.vector is None
    if keyword_only and request.filters.filters_chunks:
        # One of the chunks that pass the filters by time and sender must hold a word of the query.
        conversations = [chunks for chunks in conversations if any(chunk.weight for chunk in chunks)]
    chunks = ranking.rank_chunks(conversations, request.query.top_k, matching_only=keyword_only)
    return [RankedHit(chunk, snippets.make_snippet(chunk.text, words, tokens)) for chunk in chunks]


def _score(ranked: RankedConversations) -> tuple[MatchWeights, MatchWeights, list[ScoredChunk]]:
    """Return the words and exact tokens of the chunks that match the query, and each chunk with its weight."""
    texts = [tokenizer.clean(chunk.text) for chunk in ranked.chunks]
    tokens = ranked.terms.exact_weights
    text_words = [tokenizer.words(text) + tokenizer.letters(text) for text in texts]
    text_tokens = [tokenizer.exact_tokens(text) if tokens else list[str]() for text in texts]
    words = keyword.matching_words(ranked.terms, set[str]().union(*text_words))
    weights = [snippets.match_weight(*pair, words, tokens) for pair in zip(text_words, text_tokens, strict=True)]
    return words, tokens, list(map(ScoredChunk, ranked.chunks, texts, weights))
