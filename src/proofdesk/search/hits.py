"""Select the chunks of the ranked conversations that are shown as hits, strong ones first. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from proofdesk.indexing import tokenizer
from proofdesk.search import keyword, ranking, relevance, snippets
from proofdesk.search.fusion import RankedConversations, SearchRequest
from proofdesk.search.keyword import MatchWeights
from proofdesk.search.ranking import RankedChunk, ScoredChunk
from proofdesk.search.ranking_queries import Candidate
from proofdesk.search.relevance import HitSignals, Relevance
from proofdesk.search.snippets import Snippet


@dataclass(frozen=True)
class RankedHit:
    """A ranked chunk with its snippet and its relevance."""

    chunk: RankedChunk
    snippet: Snippet
    relevance: Relevance


def select_hits(request: SearchRequest, ranked: RankedConversations) -> list[RankedHit]:
    """Return at most `top_k` chunks: the best chunk of each conversation, then the second best of each, and so on.

    Strong hits come first. Weak ones are left out when the project holds no word of the query.
    """
    words, tokens, scored = _score(ranked)
    conversations = [list(chunks) for _, chunks in groupby(scored, key=lambda chunk: chunk.chunk.key)]
    keyword_only = ranked.embedded.vector is None
    if keyword_only and request.filters.filters_chunks:
        # One of the chunks that pass the filters by time and sender must hold a word of the query.
        conversations = [chunks for chunks in conversations if any(chunk.weight for chunk in chunks)]
    chunks = ranking.rank_chunks(conversations, request.query.top_k, matching_only=keyword_only)
    judged = _judge(ranked, conversations, chunks, words, tokens)
    return [RankedHit(chunk, snippets.make_snippet(chunk.text, words, tokens), value) for chunk, value in judged]


def _judge(
    ranked: RankedConversations,
    conversations: Sequence[Sequence[ScoredChunk]],
    chunks: Sequence[RankedChunk],
    words: MatchWeights,
    tokens: MatchWeights,
) -> list[tuple[RankedChunk, Relevance]]:
    """Return the chunks with their relevance, strong ones first.

    The first chunk of a conversation stands for all of it, further ones for themselves.
    """
    model = ranked.embedded.vector.model if ranked.embedded.vector else None
    all_chunks = {items[0].chunk.key: [(item.chunk, item.text) for item in items] for items in conversations}
    judged: list[tuple[RankedChunk, Relevance]] = []
    for chunk in chunks:
        represented = all_chunks.pop(chunk.chunk.key, [(chunk.chunk, chunk.text)])
        signals = _signals(ranked, represented, words, tokens)
        judged.append((chunk, relevance.judge(model, ranked.terms, signals)))
    strong = [pair for pair in judged if pair[1] == "strong"]
    if not strong and relevance.has_unknown_words_only(ranked.terms):
        return []
    return _with_falling_scores([*strong, *(pair for pair in judged if pair[1] == "weak")])


def _signals(
    ranked: RankedConversations,
    chunks: Sequence[tuple[Candidate, str]],
    words: MatchWeights,
    tokens: MatchWeights,
) -> HitSignals:
    first = chunks[0][0]
    text = " \n ".join([*(text for _, text in chunks), first.contact_name or "", first.sender_name or ""])
    text_words = tokenizer.words(text) + tokenizer.letters(text)
    text_tokens = tokenizer.exact_tokens(text) if tokens else []
    weight = snippets.match_weight(text_words, text_tokens, words, tokens)
    distances = [chunk.distance for chunk, _ in chunks if chunk.distance is not None]
    return HitSignals(
        similarity=1 - min(distances) if distances else None,
        word_share=min(1.0, weight / (ranked.terms.total_weight or 1.0)),
        by_words=first.by_words,
    )


def _with_falling_scores(judged: list[tuple[RankedChunk, Relevance]]) -> list[tuple[RankedChunk, Relevance]]:
    """Keep the order of the list and the order of the scores the same."""
    score, falling = 1.0, list[tuple[RankedChunk, Relevance]]()
    for chunk, value in judged:
        score = min(score, chunk.score)
        falling.append((replace(chunk, score=score), value))
    return falling


def _score(ranked: RankedConversations) -> tuple[MatchWeights, MatchWeights, list[ScoredChunk]]:
    """Return the words and exact tokens of the chunks that match the query, and each chunk with its weight."""
    texts = [tokenizer.clean(chunk.text) for chunk in ranked.chunks]
    tokens = ranked.terms.exact_weights
    names = (name or "" for chunk in ranked.chunks for name in (chunk.contact_name, chunk.sender_name))
    vocabulary = set(tokenizer.words(tokenizer.clean(" ".join(names))))
    text_words = [tokenizer.words(text) + tokenizer.letters(text) for text in texts]
    text_tokens = [tokenizer.exact_tokens(text) if tokens else list[str]() for text in texts]
    words = keyword.matching_words(ranked.terms, vocabulary.union(*text_words))
    weights = [snippets.match_weight(*pair, words, tokens) for pair in zip(text_words, text_tokens, strict=True)]
    return words, tokens, list(map(ScoredChunk, ranked.chunks, texts, weights))
