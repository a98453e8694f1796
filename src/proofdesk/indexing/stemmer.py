"""What words are stored as and looked for: stemmed by the Snowball algorithm of their language, no accents. Pure."""

from functools import lru_cache

import Stemmer

from proofdesk.indexing import languages, tokenizer

_REMEMBERED = 50_000
_STEMMERS = {name: Stemmer.Stemmer(name, 0) for name in languages.NAMES}


@lru_cache(_REMEMBERED)
def word_terms(language: str, word: str) -> tuple[str, ...]:
    """The terms of a word in lower case, of 1 to `words.LONGEST` characters, by the stemmer of `language`.

    Of a word with accents there are several, should they differ: as it is stemmed with them and without, so that
    "pagaría" is found by "pagaria", and with its umlauts spelled out, so that "Müller" is found by "Mueller".
    """
    stem = _STEMMERS[language].stemWord
    if word.isascii():
        return (stem(word),)
    spellings = (stem(word), stem(tokenizer.fold(word)), stem(tokenizer.fold(tokenizer.spell_out(word))))
    return tuple(dict.fromkeys(map(tokenizer.fold, spellings)))
