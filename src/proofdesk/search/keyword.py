"""Turn the words of a query into weighted terms of the keyword index.

Words are stemmed as the conversations of the project are, and weighted by rarity. A word that no conversation holds is
replaced by the most similar terms, since names are often misspelt.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from proofdesk.database.rows import Conn
from proofdesk.indexing import languages, stemmer, tokenizer
from proofdesk.indexing import terms as indexing_terms
from proofdesk.search import queries
from proofdesk.search.chunk_queries import INFORMATIVE_SHARE
from proofdesk.search.queries import IndexStatistics, SimilarTerm, WeightedTerm

MIN_SIMILARITY = 0.7  # of 1: one wrong letter in a word of 4 letters, two in a word of 7
MIN_MISSPELT_LENGTH = 4  # characters; shorter words resemble too many others
_TRIGRAM_CANDIDATES = 20
_MAX_SPELLINGS = 3
_CACHE_SIZE = 20_000
_UMLAUT = re.compile(r"([aou])e")

MatchWeights = Mapping[str, tuple[int, float]]
"""For each term or word, the number of the query word that it matches, and its weight."""


@dataclass(frozen=True)
class QueryTerms:
    """The terms of a query. `average_length` is the mean length of a conversation in tenths of a word.

    `total_weight` is the weight of all informative words of the query, also of those that no conversation holds.
    """

    terms: list[WeightedTerm]
    average_length: float
    languages: tuple[str, ...]
    total_weight: float = 0.0

    @property
    def weights(self) -> MatchWeights:
        """The weights of the informative terms."""
        max_weight = max((t.weight for t in self.terms), default=0.0)
        return {t.term: (t.word, t.weight) for t in self.terms if t.weight >= INFORMATIVE_SHARE * max_weight}

    @property
    def exact_weights(self) -> MatchWeights:
        """The weights of exact tokens; empty when the query holds none."""
        return {term: weight for term, weight in self.weights.items() if tokenizer.is_exact_token(term)}

    @property
    def known_share(self) -> float:
        """The share of the weight of the query that the conversations of the project can match, 0 to 1."""
        best: dict[int, float] = {}
        for term in self.terms:
            best[term.word] = max(term.weight, best.get(term.word, 0.0))
        return min(1.0, sum(best.values()) / self.total_weight) if self.total_weight else 1.0

    @property
    def exact_conversations(self) -> int:
        """How many conversations hold the most frequent exact token of the query; 0 without one."""
        return max((t.df for t in self.terms if tokenizer.is_exact_token(t.term)), default=0)


NO_TERMS = QueryTerms([], 1.0, ())


@dataclass(frozen=True)
class _QueryWord:
    """A word or exact token of the query, how often it occurs in the query, and the terms that it may stand for.

    `spelling` is the word without accents, or "" for an exact token.
    """

    count: int
    terms: Sequence[str]
    spelling: str = ""

    @property
    def may_be_misspelt(self) -> bool:
        return self.spelling.isalpha() and len(self.spelling) >= MIN_MISSPELT_LENGTH


@dataclass(frozen=True)
class ParsedQuery:
    """The words of a query with their counts, and its exact tokens."""

    words: Mapping[str, int]
    exact: Sequence[_QueryWord]

    @property
    def terms(self) -> list[str]:
        """The terms of these words in every language, and the terms that count conversations by language."""
        of_words = (term for word in self.words for term in (*terms_of(word), *tokenizer.prefix_term(word)))
        of_languages = map(indexing_terms.language_term, languages.NAMES)
        of_tokens = (term for token in self.exact for term in token.terms)
        return sorted({indexing_terms.WHOLE, *of_languages, *of_words, *of_tokens})


def parse_query(text: str) -> ParsedQuery:
    """Return the words and exact tokens of a cleaned text."""
    return ParsedQuery(Counter(tokenizer.words(text)), _exact_tokens(text))


async def weigh_terms(conn: Conn, parsed: ParsedQuery, statistics: IndexStatistics) -> QueryTerms:
    """Return the weighted terms of the query that the project has. A missing word is replaced by similar terms."""
    frequencies = statistics.document_frequencies
    conversations = frequencies.get(indexing_terms.WHOLE)
    if not conversations:
        return NO_TERMS
    names = tuple(name for name in languages.NAMES if indexing_terms.language_term(name) in frequencies)
    words = [
        _QueryWord(count, (*terms_of(word, names), *tokenizer.prefix_term(word)), tokenizer.fold(word))
        for word, count in parsed.words.items()
    ]
    words += parsed.exact
    weighted = _weighted(words, frequencies, conversations)
    missing = [word for word in words if word.may_be_misspelt and frequencies.keys().isdisjoint(word.terms)]
    if missing:
        weighted += await _similar(conn, missing, conversations, len(words))
    total_weight = _total_weight(words, frequencies, conversations)
    return QueryTerms(weighted, max(1.0, statistics.total_length / conversations), names, total_weight)


def matching_words(terms: QueryTerms, vocabulary: set[str]) -> MatchWeights:
    """Return which words of a vocabulary, with accents and endings, match terms of the query."""
    weights = terms.weights
    beginnings = tuple({_beginning(term) for term in weights})
    matches: dict[str, tuple[int, float]] = {}
    for word in [w for w in vocabulary if _begins_like(w, beginnings)]:
        for term in terms_of(word, terms.languages):
            if term in weights and weights[term][1] > matches.get(word, (0, 0.0))[1]:
                matches[word] = weights[term]
    return matches


def idf(df: int, conversations: int) -> float:
    """Return the inverse document frequency of a term that `df` conversations hold; never negative, as in Lucene."""
    return math.log(1 + (conversations - df + 0.5) / (df + 0.5))


def similar_terms(spelling: str, candidates: Sequence[SimilarTerm]) -> dict[SimilarTerm, float]:
    """Return the candidates that are near enough to a spelling, with their similarity (0 to 1).

    The similarity is 1 minus the optimal string alignment distance divided by the longer length, so that two swapped
    letters count as one error.
    """
    words = {candidate: candidate.term for candidate in candidates if candidate.term.isalpha()}
    scorer = OSA.normalized_similarity
    matches = process.extract(spelling, words, scorer=scorer, score_cutoff=MIN_SIMILARITY, limit=None)
    return {candidate: similarity for _, similarity, candidate in matches}


def _begins_like(word: str, beginnings: tuple[str, ...]) -> bool:
    if not word.isascii():
        folded, spelled_out = tokenizer.fold(word), tokenizer.fold(tokenizer.spell_out(word))
        return folded.startswith(beginnings) or spelled_out.startswith(beginnings)
    # The stem of "Groesse" may be "gross".
    return word.startswith(beginnings) or ("e" in word[1:4] and _UMLAUT.sub(r"\1", word[:6]).startswith(beginnings))


def _beginning(term: str) -> str:
    # Stemmers change endings only, so a word begins like its stem.
    return term[:3] if len(term) > 3 else term[:2]


def _exact_tokens(text: str) -> list[_QueryWord]:
    tokens = Counter(token.forms for token in tokenizer.locate_exact_tokens(text) if token.forms)
    return [_QueryWord(count, forms) for forms, count in tokens.items()]


@lru_cache(_CACHE_SIZE)
def terms_of(word: str, names: tuple[str, ...] = languages.NAMES) -> tuple[str, ...]:
    """Return the terms of a word in these languages."""
    latin = (name for name in (languages.DEFAULT, *names) if name != languages.CYRILLIC)
    of_word = sorted({languages.word_language(word, name) for name in latin})
    return tuple(dict.fromkeys(term for language in of_word for term in stemmer.word_terms(language, word)))


def _weighted(words: Sequence[_QueryWord], frequencies: Mapping[str, int], conversations: int) -> list[WeightedTerm]:
    weighted: list[WeightedTerm] = []
    for number, query_word in enumerate(words, start=1):
        present = [term for term in query_word.terms if term in frequencies]
        # The highest frequency counts for all: in another language the word may be the stem of a rare one.
        df = max((frequencies[term] for term in present), default=0)
        word = number if len(present) == 1 else -number
        weighted += [WeightedTerm(word, term, query_word.count * idf(df, conversations), df) for term in present]
    return weighted


def _total_weight(words: Sequence[_QueryWord], frequencies: Mapping[str, int], conversations: int) -> float:
    weights = [
        word.count * idf(max((frequencies.get(term, 0) for term in word.terms), default=0), conversations)
        for word in words
    ]
    least = INFORMATIVE_SHARE * max(weights, default=0.0)
    return sum(weight for weight in weights if weight >= least)


async def _similar(conn: Conn, missing: list[_QueryWord], conversations: int, last: int) -> list[WeightedTerm]:
    # Stemmers are not made for misspelt words, so both the word and its stems are compared.
    spellings = {spelling for word in missing for spelling in (word.spelling, *word.terms)}
    candidates: dict[str, list[SimilarTerm]] = defaultdict(list)
    for candidate in await queries.list_similar_terms(conn, sorted(spellings), _TRIGRAM_CANDIDATES):
        candidates[candidate.word].append(candidate)
    weighted: list[WeightedTerm] = []
    for number, query_word in enumerate(missing, start=last + 1):
        matches: dict[str, tuple[float, int]] = {}
        for spelling in sorted({query_word.spelling, *query_word.terms}):
            for candidate, similarity in similar_terms(spelling, candidates[spelling]).items():
                match = (similarity, candidate.df)
                matches[candidate.term] = max(match, matches.get(candidate.term, (0.0, 0)))
        best = sorted(matches.items(), key=lambda match: match[1], reverse=True)[:_MAX_SPELLINGS]
        word = number if len(best) == 1 else -number
        weighted += [WeightedTerm(word, t, similarity**2 * idf(df, conversations), df) for t, (similarity, df) in best]
    return weighted
