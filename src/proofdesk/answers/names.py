"""Compare names across alphabets and cases: "Гринёвой" is "Гринёва", "Derek" is "Дерек". Pure."""

from functools import lru_cache

from rapidfuzz.distance import DamerauLevenshtein

from proofdesk.indexing import tokenizer

_LATIN = dict(
    zip(
        "абвгдезийклмнопрстуфхцчшщъыьэюя",
        [
            "a",
            "b",
            "v",
            "g",
            "d",
            "e",
            "z",
            "i",
            "i",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "r",
            "s",
            "t",
            "u",
            "f",
            "kh",
            "ts",
            "ch",
            "sh",
            "sch",
            "",
            "y",
            "",
            "e",
            "yu",
            "ya",
        ],
        strict=True,
    )
) | {"ж": "zh", "ё": "e", "і": "i", "ї": "i", "є": "e", "ґ": "g"}
_CYRILLIC = (
    ("sch", "щ"), ("sh", "ш"), ("ch", "ч"), ("zh", "ж"), ("kh", "х"), ("ts", "ц"), ("tz", "ц"), ("yu", "ю"),
    ("ju", "ю"), ("ya", "я"), ("ja", "я"), ("ck", "к"), ("th", "т"), ("ph", "ф"), ("qu", "кв"),
    *zip("abcdefghijklmnopqrstuvwxyz", "абкдефгхижклмнопкрстувв_из", strict=True),
)  # fmt: skip
_SPOKEN = (
    ("ck", "k"),
    ("q", "k"),
    ("w", "v"),
    ("j", "i"),
    ("y", "i"),
    ("x", "ks"),
    ("ph", "f"),
    ("th", "t"),
    ("c", "k"),
)
_MIN_STEM = 3
_MAX_ENDING = 3  # letters that a case adds or changes at the end of a name


@lru_cache(20_000)
def sound(word: str) -> str:
    """Return a word in Latin letters, with letters that transcriptions confuse made equal."""
    latin = "".join(_LATIN.get(char, char) for char in tokenizer.fold(word.lower()))
    for written, spoken in _SPOKEN:
        latin = latin.replace(written, spoken)
    kept = [char for at, char in enumerate(latin) if at == 0 or char != latin[at - 1]]
    return "".join(kept)


@lru_cache(100_000)
def same_name(first: str, second: str) -> bool:
    """Return whether two words are the same name, in any case and alphabet."""
    a, b = sound(first), sound(second)
    if a == b:
        return len(a) > 1
    shorter, longer = sorted((a, b), key=len)
    if len(shorter) < _MIN_STEM or len(longer) - len(shorter) > _MAX_ENDING:
        return False
    common = _common_prefix(a, b)
    is_russian = first[-1] > "\u0400" or second[-1] > "\u0400"
    is_inflected = common >= max(_MIN_STEM, len(shorter) - 2) and len(longer) - common <= _MAX_ENDING
    if (is_russian and is_inflected) or longer == shorter + "s":
        return True
    crosses = (first[0] > "\u0400") != (second[0] > "\u0400")
    return crosses and len(shorter) >= 5 and a[0] == b[0] and DamerauLevenshtein.normalized_similarity(a, b) >= 0.7


def name_patterns(word: str) -> list[str]:
    """Return patterns for ILIKE that find names like a word, without its ending, in both alphabets."""
    stem = tokenizer.fold(word.lower())
    stem = stem[: max(_MIN_STEM, len(stem) - 2)] if stem[-1] > "\u0400" and len(stem) > 4 else stem
    spellings = {stem, word.lower()[: len(stem)]}
    if stem[0] > "\u0400":
        spellings.add("".join(_LATIN.get(char, char) for char in stem)[:4])
    else:
        spellings.add(_cyrillic(stem)[:4])
    return [f"%{_escape(spelling)}%" for spelling in sorted(spellings) if len(spelling) >= _MIN_STEM]


def _cyrillic(word: str) -> str:
    for latin, cyrillic in _CYRILLIC:
        word = word.replace(latin, cyrillic)
    return word


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _common_prefix(a: str, b: str) -> int:
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return length
