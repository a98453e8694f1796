"""Guesses the language of words by their alphabet and by function words. Pure.

A wrong guess costs little: a query is stemmed in every language of the project's conversations.
"""

from collections.abc import Mapping

DEFAULT = "english"
CYRILLIC = "russian"

# Words that are frequent in one language and rare in the others, with the accents that people type.
_FUNCTION_WORDS = {
    "english": "the and is you to of it that this for with have are what not my can do be we they your was will there",
    "german": "der das und ich nicht ist ein eine mit für auf wie sie wir haben habe bei dem den von zu mein meine "
    "bitte noch aber oder auch kann wird sind ihr ihre wo wann danke mir mich einen keine",
    "french": "le les des est et je vous nous pas une du que qui pour dans avec mon ma mes votre sur ce cette "
    "bonjour merci au aux ai avez être comment où quand",
    "spanish": "el los las es y que del una por para con mi su se estoy gracias hola muy pero como cómo cuando "
    "cuándo dónde tengo puedo quiero usted mis",
    "italian": "il gli di che è non una sono della del mio mia ho grazie ciao buongiorno dove quando vorrei "
    "questo questa anche più posso nel alla",
    "portuguese": "da não que uma para com meu minha por está obrigado obrigada olá você vocês é em na eu "
    "como onde quando quero posso mais foi",
    "dutch": "de het een en ik niet van dat op te mijn voor met zijn wij jullie hoe wat kan bij nog geen heb bedankt "
    "graag maar ook aan wanneer waar",
}
NAMES = (*_FUNCTION_WORDS, CYRILLIC)
_LANGUAGES_OF_WORD: dict[str, list[str]] = {}
for _name, _words in _FUNCTION_WORDS.items():
    for _word in _words.split():
        _LANGUAGES_OF_WORD.setdefault(_word, []).append(_name)


def guess_language(counts: Mapping[str, int], fallback: str = DEFAULT, least: int = 2) -> str:
    """Return the language with the most function words in `counts`, or `fallback` when it has fewer than `least`.

    It must have more than `fallback` has. Of equals the first in `NAMES` is returned.
    """
    scores = dict.fromkeys(NAMES, 0)
    for word in counts.keys() & _LANGUAGES_OF_WORD.keys():
        for name in _LANGUAGES_OF_WORD[word]:
            scores[name] += counts[word]
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= max(least, scores[fallback] + 1) else fallback


def word_language(word: str, latin: str) -> str:
    """Return the language whose stemmer a word needs, in a text whose Latin words are in `latin`."""
    return CYRILLIC if "\u0400" <= word[0] <= "\u052f" else latin
