"""The words of a question as terms to look for: stemmed as the project's conversations are, weighted by rarity.

A word that no conversation holds stands for those that look most like it: names are misspelt more often than not.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from proofdesk.db.rows import Conn
from proofdesk.projects.scope import Scope
from proofdesk.search import index, languages, queries, words
from proofdesk.search.index import Pair, Terms
from proofdesk.search.queries import Similar, Weighted

SIMILAR_ENOUGH = 0.75  # of 1; below, a word is another word
SHORTEST_MISSPELT = 4  # characters; shorter words resemble too many
TELLING = 0.2  # words worth less than this part of the best one say nothing about a text: "the", "is"
_TRIGRAM_CANDIDATES = 20
_SPELLINGS = 3
_REMEMBERED = 50_000

# What words are stored as. It depends on nothing but the word and its language, so the process remembers it.
_known: Terms = {}

Worth = Mapping[str, tuple[int, float]]


@dataclass(frozen=True)
class Sought:
    """What to look for. `average` is the mean length of a conversation in tenths of a word."""

    terms: list[Weighted]
    average: float
    languages: tuple[str, ...]

    @property
    def worth(self) -> Worth:
        """Of each term that tells something the word it stands for, and what that is worth."""
        most = max((t.weight for t in self.terms), default=0.0)
        return {t.term: (t.word, t.weight) for t in self.terms if t.weight >= TELLING * most}

    @property
    def exact(self) -> Worth:
        """The same of exact tokens; empty when the question holds none."""
        return {term: worth for term, worth in self.worth.items() if _is_exact(term)}


@dataclass(frozen=True)
class _Asked:
    """A word or exact token of the question: how often it stands there, and the terms that may stand for it.

    `spelling` is the word without accents, "" of an exact token.
    """

    times: int
    terms: list[str]
    spelling: str = ""

    @property
    def may_be_misspelt(self) -> bool:
        return self.spelling.isalpha() and len(self.spelling) >= SHORTEST_MISSPELT


async def sought(conn: Conn, scope: Scope, text: str) -> Sought:
    """The terms of a question, whose text is cleaned. No terms when the project has none of its words."""
    counts, exact = Counter(words.words(text)), _exact(text)
    forms = await _stems(conn, {(language, word) for word in counts for language in _languages_of(word)})
    spoken = [index.WHOLE, *map(index.language_term, languages.NAMES)]
    wanted = {*spoken, *(term for stored in forms.values() for term in stored), *(t for a in exact for t in a.terms)}
    present = {t.term: t for t in await queries.vocabulary(conn, scope, sorted(wanted))}
    whole = present.get(index.WHOLE)
    if whole is None:
        return Sought([], 1.0, ())
    known = tuple(name for name in languages.NAMES if index.language_term(name) in present)
    asked = [_asked(word, times, forms, known) for word, times in counts.items()] + exact
    held = {term: found.df for term, found in present.items()}
    found = _weighted(asked, held, whole.df)
    missing = [a for a in asked if a.may_be_misspelt and held.keys().isdisjoint(a.terms)]
    if missing:
        found += await _similar(conn, missing, whole.df, len(asked))
    return Sought(found, max(1.0, whole.total / whole.df), known)


async def surfaces(conn: Conn, seeking: Sought, vocabulary: set[str]) -> Worth:
    """Which of some words, accents and endings kept, answer the question; see `Sought.worth`."""
    worth = seeking.worth
    beginnings = {_beginning(term) for term in worth}
    likely = [w for w in vocabulary if (plain := words.fold(w))[:3] in beginnings or plain[:2] in beginnings]
    pairs = {(language, word) for word in likely for language in _languages_of(word, seeking.languages)}
    matched: dict[str, tuple[int, float]] = {}
    for (_, word), forms in (await _stems(conn, pairs)).items():
        for form in forms:
            if form in worth and worth[form][1] > matched.get(word, (0, 0.0))[1]:
                matched[word] = worth[form]
    return matched


def _beginning(term: str) -> str:
    # Stemmers change endings: a word begins like its stem.
    return term[:3] if len(term) > 3 else term[:2]


def _is_exact(term: str) -> bool:
    return not term.isalnum() or (term.isdigit() and len(term) >= 7)


async def _stems(conn: Conn, pairs: set[Pair]) -> Terms:
    if len(_known) > _REMEMBERED:
        _known.clear()
    known = await index.terms_of(conn, pairs, _known)
    return {pair: known[pair] for pair in pairs}


def _asked(word: str, times: int, forms: Terms, known: tuple[str, ...]) -> _Asked:
    stored = [term for language in sorted(_languages_of(word, known)) for term in forms[language, word]]
    return _Asked(times, list(dict.fromkeys(stored)), words.fold(word))


def _exact(text: str) -> list[_Asked]:
    tokens = Counter(token.forms for token in words.all_exact(text) if token.forms)
    return [_Asked(times, list(token)) for token, times in tokens.items()]


def _languages_of(word: str, known: tuple[str, ...] = languages.NAMES) -> set[str]:
    return {languages.of_word(word, latin) for latin in (languages.DEFAULT, *known) if latin != languages.CYRILLIC}


def _weighted(asked: list[_Asked], held: Mapping[str, int], conversations: int) -> list[Weighted]:
    weighted: list[Weighted] = []
    for number, one in enumerate(asked, start=1):
        present = [term for term in one.terms if term in held]
        # As one word: in another language it may be the stem of something rare.
        df = max((held[term] for term in present), default=0)
        word = number if len(present) == 1 else -number
        weighted += [Weighted(word, term, one.times * idf(df, conversations), df) for term in present]
    return weighted


def idf(df: int, conversations: int) -> float:
    """What a term is worth that `df` of the conversations hold; as Lucene has it, never below 0."""
    return math.log(1 + (conversations - df + 0.5) / (df + 0.5))


async def _similar(conn: Conn, missing: list[_Asked], conversations: int, number: int) -> list[Weighted]:
    # Stemmers were not made for misspelt words: both the word and what they make of it are compared.
    spellings = {spelling for one in missing for spelling in (one.spelling, *one.terms)}
    found: dict[str, list[Similar]] = defaultdict(list)
    for similar in await queries.similar_terms(conn, sorted(spellings), _TRIGRAM_CANDIDATES):
        found[similar.word].append(similar)
    weighted: list[Weighted] = []
    for place, one in enumerate(missing, start=number + 1):
        likely: dict[str, tuple[float, int]] = {}
        for spelling in sorted({one.spelling, *one.terms}):
            for term, like in _alike(spelling, found[spelling]):
                likely[term] = max(like, likely.get(term, (0.0, 0)))
        best = sorted(likely.items(), key=lambda term: term[1], reverse=True)[:_SPELLINGS]
        word = place if len(best) == 1 else -place
        weighted += [Weighted(word, term, like**2 * idf(df, conversations), df) for term, (like, df) in best]
    return weighted


def _alike(spelling: str, candidates: list[Similar]) -> Iterator[tuple[str, tuple[float, int]]]:
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
