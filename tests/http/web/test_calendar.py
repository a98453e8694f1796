"""The calendar of commitments: its secret address, and what a calendar program gets there."""

import psycopg
import pytest

from proofdesk.audit.events import system_actor
from proofdesk.commitments import extraction_job
from proofdesk.database.pool import Database
from proofdesk.projects import scope
from tests.support import stories
from tests.support.audit_events import list_actions
from tests.support.pages import get_page, submit_form
from tests.support.server import Cast

LONG = "We will send the oak, walnut and cherry samples; all of them, with the dark green boards, by 4 March 2031."


@pytest.fixture
async def promised(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    project = cast.member.project_id
    assert project is not None
    stories.insert_conversations(owner_conn, project)
    owner_conn.execute("UPDATE cw_messages SET content = %s WHERE message_id = 10104", [LONG])
    await extraction_job.run(db, await scope.enter(db, system_actor(), project), "UTC")
    return cast


async def create_address(cast: Cast) -> str:
    page = (await submit_form(cast.member, "/commitments/calendar")).text
    return "/calendar/" + page.split("/calendar/")[1].split("<")[0]


async def test_calendar_program_reads_open_commitments(promised: Cast):
    anyone = promised.stranger.client
    anyone.cookies.clear()
    answer = await anyone.get(await create_address(promised))
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/calendar; charset=utf-8"
    lines = answer.content.decode().split("\r\n")
    assert max(len(line.encode()) for line in lines) <= 75
    unfolded = answer.text.replace("\r\n ", "")
    assert "DTSTART;VALUE=DATE:20310304\r\nDTEND;VALUE=DATE:20310305" in unfolded
    assert r"SUMMARY:We: We will send the oak\, walnut and cherry samples\;" in unfolded


async def test_address_is_shown_once_replaced_and_deleted(promised: Cast, owner_conn: psycopg.Connection):
    client, first = promised.member.client, await create_address(promised)
    assert first not in await get_page(promised.member, "/commitments/calendar")
    second = await create_address(promised)
    assert (await client.get(first)).status_code == 404
    assert (await client.get(second)).status_code == 200
    assert (await submit_form(promised.member, "/commitments/calendar/delete")).status_code == 303
    assert (await client.get(second)).status_code == 404
    assert list_actions(owner_conn, "commitment.calendar") == ["commitment.calendar_created"] * 2 + [
        "commitment.calendar_deleted"
    ]


async def test_other_tokens_and_projects_have_no_calendar(promised: Cast):
    address = await create_address(promised)
    project, token = address.removesuffix(".ics").split("/")[2:]
    for wrong in (f"/calendar/{project}/x.ics", f"/calendar/{promised.stranger.project_id}/{token}.ics"):
        assert (await promised.member.client.get(wrong)).status_code == 404
    assert (await promised.member.client.get(f"/calendar/nonsense/{token}.ics")).status_code == 404
