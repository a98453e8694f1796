import psycopg

from proofdesk.database.halfvec import Halfvec, Halfvecs


def test_vectors_arrive_in_order_as_sixteen_bits_hold_them_and_a_missing_one_is_null(database_url: str):
    given = [Halfvec([1, -0.5]), None, Halfvec([0.123456789, -1e-5])]
    with psycopg.connect(database_url) as conn:
        number = conn.execute("SELECT 'halfvec'::regtype::oid").fetchone()
        assert number
        found = conn.execute(
            "SELECT v::text FROM unnest(%s::halfvec[]) WITH ORDINALITY u (v, n) ORDER BY n",
            [Halfvecs(number[0], given)],
        ).fetchall()
    assert found == [("[1,-0.5]",), (None,), ("[0.12347412,-1.001358e-05]",)]
