"""Generated conversations, inserted into the tables: artificial words by topic, and clustered vectors.

Words follow Zipf's law; half of them are words of a topic. Vectors are distributed around the direction of their topic
and, closer, of their conversation, as embeddings of real texts are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.chunks import ChunkStage
from proofdesk.settings import Settings

MODEL = "bench"
ACCOUNT = 1
TOPICS = 300
BATCH = 8_000  # chunks per insert, at least those of one conversation

_SYLLABLES = [consonant + vowel for consonant, vowel in product("bdfgklmnprstvz", "aeiou")]
_EVERYWHERE = np.array(["".join(s) for s in product(_SYLLABLES, _SYLLABLES, ("", "n", "r"))])  # 14,700 words
_OF_TOPIC = np.array(["".join(s) for s in product(_SYLLABLES, _SYLLABLES, _SYLLABLES[:8])])  # 39,200 words
_START = datetime(2025, 1, 1, tzinfo=UTC)
_TABLES = {
    "cw_conversations": "conversation_id inbox_id status labels additional_attributes custom_attributes"
    " last_activity_at created_at updated_at read_mark chunked_version",
    "cw_messages": "message_id conversation_id inbox_id message_type content_type content private deleted sender_type"
    " content_attributes attachments created_at",
    "rag_chunks": "message_id chunk_index conversation_id inbox_id sender_type sender_types covers text context"
    " content_hash embedding_status embedding_model created_at",
}


@dataclass(frozen=True)
class Shape:
    """The shape of conversations: chunks per conversation, words per chunk, and the size of the vocabulary."""

    chunks: int = 4
    words: int = 40
    vocabulary: int = len(_EVERYWHERE) + len(_OF_TOPIC)


SUPPORT = Shape()


@dataclass(frozen=True)
class Dataset:
    """A project with data. Message `n` has chunk `n` with its vector, in conversation `n // shape.chunks`."""

    project_id: UUID
    account_scope_id: UUID
    chunks: int
    dimension: int
    seed: int
    shape: Shape = SUPPORT

    def vectors(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield batches of vectors, each with the number of its first chunk."""
        for first, topics in self._batches():
            random = np.random.default_rng([self.seed, first, 1])
            own = _unit_vectors_near(random, _directions(self.dimension)[topics], 0.8)
            each = self.shape.chunks
            yield first * each, _unit_vectors_near(random, np.repeat(own, each, axis=0), 0.6).astype(np.float16)

    def texts(self) -> Iterator[tuple[int, list[str]]]:
        """Yield batches of texts, each with the number of its first chunk."""
        for first, topics in self._batches():
            random = np.random.default_rng([self.seed, first, 2])
            each = self.shape.chunks
            yield first * each, _texts(random, np.repeat(topics, each), self.shape.words, self.shape.vocabulary)

    def queries(self, count: int) -> list[tuple[str, np.ndarray]]:
        """Return queries of three to ten words of the dataset's topics, with their vectors."""
        random = np.random.default_rng([self.seed, 3])
        topics = random.integers(0, TOPICS, count)
        vectors = _unit_vectors_near(random, _directions(self.dimension)[topics], 0.8).astype(np.float16)
        vocabulary = self.shape.vocabulary
        texts = [_texts(random, topics[n : n + 1], int(random.integers(3, 11)), vocabulary)[0] for n in range(count)]
        return list(zip(texts, vectors.astype(np.float32), strict=True))

    def _batches(self) -> Iterator[tuple[int, np.ndarray]]:
        topics = np.random.default_rng([self.seed, 0]).integers(0, TOPICS, self.chunks // self.shape.chunks)
        at_once = max(1, BATCH // self.shape.chunks)
        for first in range(0, len(topics), at_once):
            yield first, topics[first : first + at_once]


def message_time(number: int) -> datetime:
    """Return the time of a message: one per second."""
    return _START + timedelta(seconds=number)


def fill(
    conn: psycopg.Connection,
    project_id: UUID,
    chunks: int,
    dimension: int,
    shape: Shape = SUPPORT,
    *,
    embedded: bool = True,
) -> Dataset:
    """Insert this many chunks into an empty project, as the owner of the database.

    With `embedded`, chunks are ready and have vectors; else they are pending. The keyword index is not built.
    """
    row = conn.execute("SELECT account_scope_id FROM projects WHERE id = %s", [project_id]).fetchone()
    assert row is not None, "the project exists"
    dataset = Dataset(project_id, row[0], chunks, dimension, 7, shape)
    for first, texts in dataset.texts():
        _write(conn, dataset, first, texts, ("ready", MODEL) if embedded else ("pending", None))
    conn.execute(
        "INSERT INTO sync_watermarks (project_id, account_scope_id, source, meta)"
        " VALUES (%s, %s, 'chunks', jsonb_build_object('rules', %s::text))",
        [dataset.project_id, dataset.account_scope_id, ChunkStage(ChunkLimits.from_settings(Settings())).rules],
    )
    if embedded:
        _embed(conn, dataset)
    conn.execute("VACUUM ANALYZE cw_conversations, cw_messages, rag_chunks, rag_vectors")
    return dataset


def _embed(conn: psycopg.Connection, dataset: Dataset) -> None:
    for first, vectors in dataset.vectors():
        with conn.cursor().copy("COPY rag_vectors FROM STDIN (FORMAT binary)") as copy:
            copy.write(_binary(dataset, first, vectors))
    conn.execute(
        "INSERT INTO rag_models (project_id, account_scope_id, model, dimension, complete_at)"
        " VALUES (%s, %s, %s, %s, now())",
        [dataset.project_id, dataset.account_scope_id, MODEL, dataset.dimension],
    )


def _write(
    conn: psycopg.Connection, dataset: Dataset, first: int, texts: list[str], state: tuple[str, str | None]
) -> None:
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
    for number, text in enumerate(texts, first):
        conversation, at = number // dataset.shape.chunks, message_time(number)
        place = number % dataset.shape.chunks
        kind, by = ("outgoing", "agent") if place % 4 else ("incoming", "contact")
        if place == 0:
            rows["cw_conversations"].append((conversation, 1, "open", [], "{}", "{}", at, at, at, "read", 1))
        message = (number, conversation, 1, kind, "text", text, False, False, by, "{}", "[]", at)
        rows["cw_messages"].append(message)
        digest = number.to_bytes(8, "big")
        chunk = (number, 0, conversation, 1, by, [by], [number], text, "", digest, *state, at)
        rows["rag_chunks"].append(chunk)
    for table, columns in _TABLES.items():
        names = f"project_id, account_scope_id, account_id, {', '.join(columns.split())}"
        with conn.cursor().copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
            for row in rows[table]:
                copy.write_row((dataset.project_id, dataset.account_scope_id, ACCOUNT, *row))


def _binary(dataset: Dataset, first: int, vectors: np.ndarray) -> bytes:
    """Return rows of rag_vectors in PostgreSQL's binary COPY format: each field after its length."""
    halves = np.dtype([("dimension", ">i2"), ("unused", ">i2"), ("halves", ">f2", (dataset.dimension,))])
    kinds = {"project": "V16", "scope": "V16", "account": ">i8", "message": ">i8", "index": ">i4",
             "model": f"S{len(MODEL)}", "vector": halves}  # fmt: skip
    fields: list[Any] = [("count", ">i2")]
    for name, kind in kinds.items():
        fields += [(f"{name}_length", ">i4"), (name, kind)]
    rows = np.zeros(len(vectors), np.dtype(fields))
    rows["count"] = len(kinds)
    for name, kind in kinds.items():
        rows[f"{name}_length"] = np.dtype(kind).itemsize
    rows["project"], rows["scope"] = np.void(dataset.project_id.bytes), np.void(dataset.account_scope_id.bytes)
    rows["account"], rows["model"] = ACCOUNT, MODEL.encode()
    rows["message"] = np.arange(first, first + len(vectors))
    rows["vector"]["dimension"], rows["vector"]["halves"] = dataset.dimension, vectors
    return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


def _directions(dimension: int) -> np.ndarray:
    return _unit_vectors_near(np.random.default_rng(1), np.zeros((TOPICS, dimension)), 1.0)


def _unit_vectors_near(random: np.random.Generator, centres: np.ndarray, spread: float) -> np.ndarray:
    """Return unit vectors near the centres. `spread` is the length of the added noise."""
    noise = random.standard_normal(centres.shape, dtype=np.float32)
    vectors = centres + spread * noise / np.sqrt(centres.shape[1])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _texts(random: np.random.Generator, topics: np.ndarray, words: int, vocabulary: int) -> list[str]:
    """Return a text of each topic. Every other word is from its topic, on average."""
    share = vocabulary / (len(_EVERYWHERE) + len(_OF_TOPIC))
    general = _EVERYWHERE[_zipf(random, (len(topics), words), int(share * len(_EVERYWHERE)))]
    own = int(share * len(_OF_TOPIC)) // TOPICS
    topical = _OF_TOPIC[topics[:, None] * own + _zipf(random, (len(topics), words), own)]
    chosen = np.where(random.random((len(topics), words)) < 0.5, topical, general)
    return [" ".join(row) for row in chosen]


def _zipf(random: np.random.Generator, shape: tuple[int, ...], words: int) -> np.ndarray:
    """Return random ranks by Zipf's law: the logarithm of a rank is uniformly distributed."""
    return (np.exp(random.random(shape) * np.log(words + 1)) - 1).astype(int)
