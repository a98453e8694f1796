"""Incidents on the page, in the navigation, in the API and in the terminal."""

import json
from uuid import uuid4

import psycopg

from tests.support.open_incidents import CAUSE, insert_incident
from tests.support.pages import get_page, submit_and_follow
from tests.support.server import Cast
from tests.support.terminal import Terminal


async def test_page_shows_incidents_and_acknowledges_one(cast: Cast, owner_conn: psycopg.Connection):
    client, project = cast.member.client, cast.member.project_id
    insert_incident(owner_conn, None)
    insert_incident(owner_conn, cast.stranger.project_id)
    insert_incident(owner_conn, project, "closed")
    page = await get_page(cast.member, "/incidents")
    assert page.count(CAUSE) == 2 and "Whole installation" in page and "Chatwoot answered 401." in page
    assert '<span class="badge plain bad count">1<span class="unseen"> open incident</span></span>' in page
    incident = (await client.get("/incidents?state=open")).json()["incidents"][0]["id"]
    shown = await submit_and_follow(cast.member, f"/incidents/{incident}/acknowledge")
    assert "No more reminders are sent." in shown and "Acknowledged by" in shown


async def test_api_lists_and_acknowledges_incidents(cast: Cast, owner_conn: psycopg.Connection):
    client, csrf = cast.member.client, {"x-csrf-token": cast.member.csrf}
    ours = insert_incident(owner_conn, cast.member.project_id)
    theirs = insert_incident(owner_conn, cast.stranger.project_id)
    listed = (await client.get("/v1/incidents")).json()
    assert listed["total"] == 1
    [incident] = listed["incidents"]
    names = {"id", "runbook", "check", "title", "opened_at", "closed_at", "acknowledged_by", "notifications"}
    assert names <= incident.keys() and incident["notifications"][0]["status"] == "sent"
    assert (await client.get("/v1/incidents?state=closed")).json()["incidents"] == []
    assert (await client.get("/v1/incidents?state=nonsense")).json()["error"] == "invalid_request"
    done = await client.post(f"/v1/incidents/{ours}/acknowledge", headers=csrf)
    assert done.json()["incident"]["acknowledged_by"] == "member"
    for other in (theirs, uuid4(), "nonsense"):
        refused = await client.post(f"/v1/incidents/{other}/acknowledge", headers=csrf)
        assert (refused.status_code, refused.json()["error"]) == (404, "incident_not_found")
    events = (await client.get("/audit?action=incident.acknowledged")).json()["events"]
    assert [event["entity_id"] for event in events] == [str(ours)]


async def test_command_lists_and_acknowledges_incidents(
    cast: Cast, owner_conn: psycopg.Connection, tidy_url: str, terminal: Terminal
):
    incident = insert_incident(owner_conn, cast.member.project_id)
    environment = {"DATABASE_URL": tidy_url, "AUTH_PASSWORD": "a long enough password", "EMBEDDING_PROVIDER": "local"}
    inside = ["--project", str(cast.member.project_id)]
    shown = terminal(["incidents", *inside, "--acknowledge", str(incident)], environment)
    assert shown.returncode == 0 and CAUSE in shown.stdout and "Acknowledged by system" in shown.stdout
    listed = json.loads(terminal(["incidents", *inside, "--json"], environment).stdout)
    assert (listed["total"], listed["incidents"][0]["state"]) == (1, "open")
