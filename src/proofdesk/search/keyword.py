"""The words of a question as terms to look for: stemmed as the project's conversations are, weighted by rarity.

A word that no conversation holds stands for those that look most like it: names are misspelt more often than not.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from proofdesk.database.rows import Conn
from proofdesk.indexing import languages, stemmer, tokenizer
from proofdesk.indexing import terms as indexing_terms
from proofdesk.search import queries
from proofdesk.search.chosen_queries import INFORMATIVE_SHARE
from proofdesk.search.queries import IndexStatistics, SimilarTerm, WeightedTerm

SIMILAR_ENOUGH = 0.75  # of 1; below, a word is another word
SHORTEST_MISSPELT = 4  # characters; shorter words resemble too many
_TRIGRAM_CANDIDATES = 20
_SPELLINGS = 3
_REMEMBERED = 20_000
_UMLAUT = re.compile(r"([aou])e")

MatchWeights = Mapping[str, tuple[int, float]]


@dataclass(frozen=True)
class QueryTerms:
    """What to look for. `average` is the mean length of a conversation in tenths of a word."""

    terms: list[WeightedTerm]
    average_length: float
    languages: tuple[str, ...]

    @property
    def weights(self) -> MatchWeights:
        """Of each term that tells something the word it stands for, and what that is worth."""
        most = max((t.weight for t in self.terms), default=0.0)
        return {t.term: (t.word, t.weight) for t in self.terms if t.weight >= INFORMATIVE_SHARE * most}

    @property
    def exact_weights(self) -> MatchWeights:
        """The same of exact tokens; empty when the question holds none."""
        return {term: worth for term, worth in self.weights.items() if tokenizer.is_exact(term)}


NO_TERMS = QueryTerms([], 1.0, ())


@dataclass(frozen=True)
class _QueryWord:
    """A word or exact token of the question: how often it stands there, and the terms that may stand for it.

    `spelling` is the word without accents, "" of an exact token.
    """

    count: int
    terms: Sequence[str]
    spelling: str = ""

    @property
    def may_be_misspelt(self) -> bool:
        return self.spelling.isalpha() and len(self.spelling) >= SHORTEST_MISSPELT


@dataclass(frozen=True)
class ParsedQuery:
    """The words of a question with the number of times they stand in it, and its exact tokens."""

    words: Mapping[str, int]
    exact: Sequence[_QueryWord]

    @property
    def terms(self) -> list[str]:
        """Those that may stand for them in any language, and those that say how much a project holds, and of which."""
        of_words = (term for word in self.words for term in (*_terms_of(word), *tokenizer.beginning(word)))
        languages_spoken = map(indexing_terms.language_term, languages.NAMES)
        return sorted(
            {indexing_terms.WHOLE, *languages_spoken, *of_words, *(term for one in self.exact for term in one.terms)}
        )


def parse_query(text: str) -> ParsedQuery:
    """What a cleaned text asks for."""
    return ParsedQuery(Counter(tokenizer.words(text)), _exact(text))


async def weigh_terms(conn: Conn, parsed: ParsedQuery, statistics: IndexStatistics) -> QueryTerms:
    """What to look for, of what is asked for. No terms when the project has none of its words."""
    frequencies, conversations = (
        statistics.document_frequencies,
        statistics.document_frequencies.get(indexing_terms.WHOLE),
    )
    if not conversations:
        return NO_TERMS
    query_languages = tuple(name for name in languages.NAMES if indexing_terms.language_term(name) in frequencies)
    query_words = [
        _QueryWord(times, (*_terms_of(word, query_languages), *tokenizer.beginning(word)), tokenizer.fold(word))
        for word, times in parsed.words.items()
    ]
    query_words += parsed.exact
    weighted = _weighted(query_words, frequencies, conversations)
    missing = [one for one in query_words if one.may_be_misspelt and frequencies.keys().isdisjoint(one.terms)]
    if missing:
        weighted += await _similar(conn, missing, conversations, len(query_words))
    return QueryTerms(weighted, max(1.0, statistics.total_length / conversations), query_languages)


def matching_words(terms: QueryTerms, vocabulary: set[str]) -> MatchWeights:
    """Which of some words, accents and endings kept, answer the question; see `Sought.worth`."""
    worth = terms.weights
    beginnings = tuple({_beginning(term) for term in worth})
    matched: dict[str, tuple[int, float]] = {}
    for word in [w for w in vocabulary if _begins_like(w, beginnings)]:
        for term in _terms_of(word, terms.languages):
            if term in worth and worth[term][1] > matched.get(word, (0, 0.0))[1]:
                matched[word] = worth[term]
    return matched


def _begins_like(word: str, beginnings: tuple[str, ...]) -> bool:
    if not word.isascii():
        return tokenizer.fold(word).startswith(beginnings) or tokenizer.fold(tokenizer.spelled_out(word)).startswith(
            beginnings
        )
    # Of "Groesse" the stem may be "gross".
    return word.startswith(beginnings) or ("e" in word[1:4] and _UMLAUT.sub(r"\1", word[:6]).startswith(beginnings))


def _beginning(term: str) -> str:
    # Stemmers change endings: a word begins like its stem.
    return term[:3] if len(term) > 3 else term[:2]


def _exact(text: str) -> list[_QueryWord]:
    tokens = Counter(token.forms for token in tokenizer.all_exact(text) if token.forms)
    return [_QueryWord(times, token) for token, times in tokens.items()]


@lru_cache(_REMEMBERED)
def _terms_of(word: str, known: tuple[str, ...] = languages.NAMES) -> tuple[str, ...]:
    """What stands for a word in any of the languages that are `known`."""
    latin = (name for name in (languages.DEFAULT, *known) if name != languages.CYRILLIC)
    spoken = sorted({languages.of_word(word, name) for name in latin})
    return tuple(dict.fromkeys(term for language in spoken for term in stemmer.of_word(language, word)))


def _weighted(each: Sequence[_QueryWord], held: Mapping[str, int], conversations: int) -> list[WeightedTerm]:
    weighted: list[WeightedTerm] = []
    for number, one in enumerate(each, start=1):
        present = [term for term in one.terms if term in held]
        # As one word: in another language it may be the stem of something rare.
        df = max((held[term] for term in present), default=0)
        word = number if len(present) == 1 else -number
        weighted += [WeightedTerm(word, term, one.count * idf(df, conversations), df) for term in present]
    return weighted


def idf(df: int, conversations: int) -> float:
    """What a term is worth that `df` of the conversations hold; as Lucene has it, never below 0."""
    return math.log(1 + (conversations - df + 0.5) / (df + 0.5))


async def _similar(conn: Conn, missing: list[_QueryWord], conversations: int, number: int) -> list[WeightedTerm]:
    # Stemmers were not made for misspelt words: both the word and what they make of it are compared.
    spellings = {spelling for one in missing for spelling in (one.spelling, *one.terms)}
    found: dict[str, list[SimilarTerm]] = defaultdict(list)
    for similar in await queries.list_similar_terms(conn, sorted(spellings), _TRIGRAM_CANDIDATES):
        found[similar.word].append(similar)
    weighted: list[WeightedTerm] = []
    for place, one in enumerate(missing, start=number + 1):
        likely: dict[str, tuple[float, int]] = {}
        for spelling in sorted({one.spelling, *one.terms}):
            for term, like in _alike(spelling, found[spelling]):
                likely[term] = max(like, likely.get(term, (0.0, 0)))
        best = sorted(likely.items(), key=lambda term: term[1], reverse=True)[:_SPELLINGS]
        word = place if len(best) == 1 else -place
        weighted += [WeightedTerm(word, term, like**2 * idf(df, conversations), df) for term, (like, df) in best]
    return weighted


def _alike(spelling: str, candidates: list[SimilarTerm]) -> Iterator[tuple[str, tuple[float, int]]]:
    """The candidates that may be what was meant: how alike they are, and how many conversations hold them."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(spelling)  # what it finds out about the second, it remembers
    for one in candidates:
        matcher.set_seq1(one.term)
        # The upper bound costs an eighth of what it bounds.
        if one.term.isalpha() and matcher.quick_ratio() >= SIMILAR_ENOUGH:
            likeness = matcher.ratio()
            if likeness >= SIMILAR_ENOUGH:
                yield one.term, (likeness, one.df)
