"""Vectors on their way to the database, as it holds them: sixteen bits a number. As text they are five times as long,
and writing and reading that takes longer than finding the nearest.
"""

import struct
from collections.abc import Sequence

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format


class Halfvec:
    """A vector as a parameter of a statement, which casts it: `%(vector)s::halfvec`."""

    def __init__(self, numbers: Sequence[float]):
        self.binary = struct.pack(f">hh{len(numbers)}e", len(numbers), 0, *numbers)


class Halfvecs:
    """Several, where one may be missing, as one parameter: `%(vectors)s::halfvec[]`.

    `type_number` is what `'halfvec'::regtype::oid` gives: pgvector's type has another number in each database.
    """

    def __init__(self, type_number: int, vectors: Sequence[Halfvec | None]):
        dimensions, may_miss, first = 1, 1, 1
        head = struct.pack(">iiIii", dimensions, may_miss, type_number, len(vectors), first)
        self.binary = head + b"".join(
            _MISSING if v is None else _LENGTH.pack(len(v.binary)) + v.binary for v in vectors
        )


_LENGTH = struct.Struct(">i")
_MISSING = _LENGTH.pack(-1)


class _BinaryDumper(Dumper):
    format = Format.BINARY  # of no named type: the statement tells it

    def dump(self, obj: Halfvec | Halfvecs) -> bytes:
        return obj.binary


psycopg.adapters.register_dumper(Halfvec, _BinaryDumper)
psycopg.adapters.register_dumper(Halfvecs, _BinaryDumper)
