"""Vectors without a model: hashed words and letter groups, deterministic for each text."""

import math
import re
import zlib

_WORD = re.compile(r"\w+")
_GROUP = 4


def vector(text: str, dimension: int) -> list[float]:
    """Return a vector of length 1. Texts that share words, or parts of words, are near each other."""
    numbers = [0.0] * dimension
    for word in _WORD.findall(text.lower()) or [text]:
        for part in {word, *(word[at : at + _GROUP] for at in range(max(1, len(word) - _GROUP + 1)))}:
            hashed = zlib.crc32(part.encode("utf-8", "surrogatepass"))
            numbers[(hashed >> 1) % dimension] += 1.0 if hashed & 1 else -1.0
    length = math.hypot(*numbers)
    if length == 0:
        numbers[0], length = 1.0, 1.0
    return [number / length for number in numbers]
