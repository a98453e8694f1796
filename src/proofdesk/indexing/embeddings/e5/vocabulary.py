"""Writes the vocabulary as a SentencePiece model, which finds tokens in a hundredth of the time of Python code."""

from proofdesk.indexing.embeddings.e5 import protobuf
from proofdesk.indexing.embeddings.e5.weights import Vocabulary

# sentencepiece_model.proto: kinds of piece, and the ids of <s>, <pad> and </s>.
_UNKNOWN, _CONTROL = 2, 3
BEGIN, PADDING, END = 0, 1, 2
_MASK = "<mask>"


def build_model(vocabulary: Vocabulary) -> bytes:
    """Return a SentencePiece model (unigram) whose ids are those of the embedding model.

    Its normalizer only marks spaces: `vocabulary.replacements` come before.
    """
    pieces = [
        protobuf.content(1, _piece(piece, score, _kind(id, piece, vocabulary)))
        for id, (piece, score) in enumerate(zip(vocabulary.pieces, vocabulary.scores, strict=True))
    ]
    trainer = (
        protobuf.number(3, 1)  # unigram
        + protobuf.number(40, vocabulary.unknown)
        + protobuf.number(41, BEGIN)
        + protobuf.number(42, END)
        + protobuf.number(43, PADDING)
    )
    # A leading space, no removal of extra ones (`Tokenizer` does that), spaces written as U+2581.
    normalizer = protobuf.content(1, "identity") + protobuf.number(3, 1) + protobuf.number(4, 0) + protobuf.number(5, 1)
    return b"".join(pieces) + protobuf.content(2, trainer) + protobuf.content(3, normalizer)


def _piece(piece: str, score: float, kind: int | None) -> bytes:
    fields = protobuf.content(1, piece) + protobuf.real(2, score)
    return fields + protobuf.number(3, kind) if kind else fields


def _kind(id: int, piece: str, vocabulary: Vocabulary) -> int | None:
    if id == vocabulary.unknown:
        return _UNKNOWN
    return _CONTROL if id in (BEGIN, PADDING, END) or piece == _MASK else None
