"""The digest on its page and in the API."""

import re

import psycopg

from tests.support import stories
from tests.support.open_incidents import insert_incident
from tests.support.pages import HTML, get_page, submit_and_follow, submit_form
from tests.support.server import Cast


async def test_every_line_of_the_digest_leads_to_its_evidence(cast: Cast, owner_conn: psycopg.Connection):
    project = cast.member.project_id
    assert project is not None
    stories.insert_conversations(owner_conn, project)
    insert_incident(owner_conn, project)
    page = await get_page(cast.member, "/digest?cadence=weekly")
    paths = re.findall(r'<a class="grow wrap-anywhere" href="([^"]+)"', page)
    assert len(paths) == 2
    for path in paths:
        assert (await cast.member.client.get(path, headers=HTML)).status_code == 200, path


async def test_user_subscribes_on_the_page_and_in_the_api(cast: Cast):
    client, csrf = cast.member.client, {"x-csrf-token": cast.member.csrf}
    shown = await submit_and_follow(cast.member, "/digest", daily="1", email="ada@example.com")
    assert "from the next one" in shown and 'value="ada@example.com"' in shown
    subscription = (await client.get("/v1/digest")).json()["subscription"]
    assert subscription == {"daily": True, "weekly": False, "email": "ada@example.com", "telegram": False}
    refused = await submit_form(cast.member, "/digest", daily="1", email="nonsense")
    assert refused.status_code == 400 and 'value="nonsense"' in refused.text
    body = {"weekly": True, "email": "grace@example.com"}
    assert (await client.put("/v1/digest", json=body, headers=csrf)).json()["subscription"]["weekly"] is True
    assert (await client.put("/v1/digest", json={}, headers=csrf)).json()["error"] == "invalid_digest"
    telegram = await client.put("/v1/digest", json={"daily": True, "telegram": True}, headers=csrf)
    assert (telegram.status_code, telegram.json()["error"]) == (403, "forbidden")
    await submit_and_follow(cast.member, "/digest")
    assert (await client.get("/v1/digest?cadence=weekly")).json()["subscription"] is None
