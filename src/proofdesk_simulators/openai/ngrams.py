"""Vectors without a model: hashed words and letter groups, the same for the same text everywhere."""

import math
import re
import zlib

_WORD = re.compile(r"\w+")
_GROUP = 4


def vector(text: str, dimension: int) -> list[float]:
    """A vector of length 1. Texts that share words, or beginnings of words, are near to each other."""
    numbers = [0.0] * dimension
    for word in _WORD.findall(text.lower()) or [text]:
        for part in {word, *(word[at : at + _GROUP] for at in range(max(1, len(word) - _GROUP + 1)))}:
            hashed = zlib.crc32(part.encode("utf-8", "surrogatepass"))
            numbers[(hashed >> 1) % dimension] += 1.0 if hashed & 1 else -1.0
    length = math.hypot(*numbers)
    if length == 0:
        numbers[0], length = 1.0, 1.0
    return [number / length for number in numbers]
