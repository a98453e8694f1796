"""Reduces words to terms: stemmed with the Snowball algorithm of their language, without accents. Pure."""

from functools import lru_cache

import Stemmer

from proofdesk.indexing import languages, tokenizer

_CACHED_WORDS = 50_000
_STEMMERS = {name: Stemmer.Stemmer(name, 0) for name in languages.NAMES}


@lru_cache(_CACHED_WORDS)
def word_terms(language: str, word: str) -> tuple[str, ...]:
    """Return the terms of a word in lower case, of 1 to `tokenizer.MAX_TERM_CHARS` characters.

    A word with accents may have several: stemmed with and without its accents, so that "pagaria" finds "pagaría", and
    with its umlauts as two letters, so that "Mueller" finds "Müller".
    """
    stem = _STEMMERS[language].stemWord
    if word.isascii():
        return (stem(word),)
    spellings = (stem(word), stem(tokenizer.fold(word)), stem(tokenizer.fold(tokenizer.spell_out(word))))
    return tuple(dict.fromkeys(map(tokenizer.fold, spellings)))
