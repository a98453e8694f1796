"""Checks the model before it answers: its weights are the expected ones, and it computes the expected vectors.

`reference.json` holds the vectors that the engine of the package computes for a few texts, in 8-bit numbers.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from proofdesk.indexing.embeddings.e5.weights import Floats

_REFERENCE = Path(__file__).with_name("reference.json")
MIN_COSINE = 0.995  # measured: at least 0.9985; the difference is that of 7-bit from 32-bit numbers


class WrongModel(Exception):
    """The model would compute wrong vectors. The message says what was checked."""


def check_source(file: Path, expected: str) -> None:
    """Raise `WrongModel` when the SHA-256 of the file is another."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise WrongModel(f"{file.name} has the SHA-256 {found[:12]}… instead of {expected[:12]}…")


def check_vectors(encode: Callable[[Sequence[str]], Floats]) -> None:
    """Raise `WrongModel` when a vector of the reference texts differs. The texts include the prefix."""
    references = json.loads(_REFERENCE.read_text("utf-8"))
    vectors = encode([reference["text"] for reference in references])
    for reference, vector in zip(references, vectors, strict=True):
        expected = np.frombuffer(base64.b64decode(reference["vector"]), np.int8).astype(np.float32)
        cosine = float(vector @ expected / np.linalg.norm(expected))
        if not cosine >= MIN_COSINE:  # also NaN
            raise WrongModel(f"the vector of {reference['text']!r} differs from the reference (cosine {cosine:.3f})")
