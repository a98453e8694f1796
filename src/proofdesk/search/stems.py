"""What words are stored as and looked for: stemmed by the Snowball algorithm of their language, no accents. Pure."""

from functools import lru_cache

import Stemmer

from proofdesk.search import languages, words

_REMEMBERED = 50_000
_STEMMERS = {name: Stemmer.Stemmer(name, 0) for name in languages.NAMES}


@lru_cache(_REMEMBERED)
def of_word(language: str, word: str) -> tuple[str, ...]:
    """The terms of a word in lower case, of 1 to `words.LONGEST` characters, by the stemmer of `language`.

    Of a word with accents there are two, should they differ: as it is stemmed with them and without, so that "pagaría"
    is found by "pagaria".
    """
    stem = _STEMMERS[language].stemWord
    with_accents = words.fold(stem(word))
    if word.isascii():
        return (with_accents,)
    without = words.fold(stem(words.fold(word)))
    return (with_accents,) if without == with_accents else (with_accents, without)
