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


class _HalfvecDumper(Dumper):
    format = Format.BINARY  # of no named type, since pgvector's has another number in each database

    def dump(self, obj: Halfvec) -> bytes:
        return obj.binary


psycopg.adapters.register_dumper(Halfvec, _HalfvecDumper)
