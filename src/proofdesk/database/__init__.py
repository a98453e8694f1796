"""The database: where it runs, how it is reached, what it holds."""

import psycopg
from pgvector import HalfVector
from pgvector.psycopg.halfvec import HalfVectorBinaryDumper

# Vectors are sent in binary, which is a fifth of their text. The statement names the type: `%(vector)s::halfvec`.
psycopg.adapters.register_dumper(HalfVector, HalfVectorBinaryDumper)
