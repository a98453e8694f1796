"""What the same session reads several times at once is read once, and answered to each."""

import asyncio

import psycopg

from tests.api.server import Cast

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%cw_messages%'"
TIMES = 8
PROCESSES = 2


async def test_the_same_reading_is_done_once_in_each_process_and_every_answer_bears_its_own_id(
    cast: Cast, database_url: str
):
    chosen = f"/projects/{cast.member.project_id}/select"
    await cast.owner.client.post(chosen, headers={"x-csrf-token": cast.owner.csrf})
    with psycopg.connect(database_url) as holding, psycopg.connect(database_url, autocommit=True) as looking:
        holding.execute("LOCK TABLE cw_messages")
        ids = [f"asked-{n}" for n in range(TIMES)]
        asked = [
            asyncio.create_task(cast.member.client.get("/messages?limit=3", headers={"x-request-id": id})) for id in ids
        ]
        await _at_least(looking, 1)
        await asyncio.sleep(0.3)  # the others are there by now; if one is not, it cannot fail this
        alone = _number(looking)
        assert alone <= PROCESSES
        other = asyncio.create_task(cast.owner.client.get("/messages?limit=3"))
        another = asyncio.create_task(cast.member.client.get("/messages?limit=4"))
        await _at_least(looking, alone + 2)  # another person, and another page, wait for nobody
        holding.rollback()
        answers = [await one for one in asked]
        assert (await other).status_code == (await another).status_code == 200
    assert [answer.json()["request_id"] for answer in answers] == ids
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    assert len({str(answer.json()["messages"]) for answer in answers}) == 1


def _number(conn: psycopg.Connection) -> int:
    row = conn.execute(_WAITING).fetchone()
    assert row is not None
    return row[0]


async def _at_least(conn: psycopg.Connection, number: int) -> None:
    for _ in range(500):
        if _number(conn) >= number:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"only {_number(conn)} wait for the table")
