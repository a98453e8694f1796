import psycopg
from pgvector import HalfVector
from psycopg.adapt import PyFormat

import proofdesk.database


def test_vectors_are_sent_in_binary_on_any_connection(database_url: str):
    assert proofdesk.database
    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT %s::halfvec::text", [HalfVector([0.123456789, -1e-5])]).fetchall()
    assert rows == [("[0.12347412,-1.001358e-05]",)]
    assert psycopg.adapters.get_dumper(HalfVector, PyFormat.AUTO).format == psycopg.pq.Format.BINARY
