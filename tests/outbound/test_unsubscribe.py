"""The unsubscribe link, opened and posted to on a real server without an account."""

from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from proofdesk.core.mail_relay import parse, sender
from proofdesk.database.pool import Database
from proofdesk.jobs import new_projects
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import ChannelMessage
from proofdesk.outbound.opt_outs.unsubscribe import UnsubscribeLinks
from proofdesk.projects import projects, scope
from proofdesk.projects.scope import Scope
from proofdesk_simulators.smtp import SmtpSimulator

HTML = {"accept": "text/html"}
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
async def path(db: Database, project: Scope) -> str:
    """The path of an unsubscribe link of the project."""
    url = await UnsubscribeLinks(db, "https://desk.example.com").url(project.project_id, uuid4(), "ada@example.com")
    assert url is not None
    return url.removeprefix("https://desk.example.com")


def opted_out(conn: psycopg.Connection) -> list[tuple[str, str, bool]]:
    return conn.execute("SELECT contact_global_id, channel, opted_out FROM contact_channel_policies").fetchall()


async def test_link_opens_a_page_whose_button_opts_out(
    anyone: httpx2.AsyncClient,
    db: Database,
    project: Scope,
    owner_conn: psycopg.Connection,
    relay: SmtpSimulator,
    mail_server: tuple[SmtpSimulator, str],
):
    recipient, payload = EmailChannel.check("Ada@Example.com", {"text": "Hello"})
    message = ChannelMessage(uuid4(), project.project_id, recipient, payload)
    links = UnsubscribeLinks(db, "https://desk.example.com")
    channel = EmailChannel(parse(mail_server[1]), sender("hello@kestrel.example"), links)
    await channel.send(message)
    await channel.aclose()
    email = relay.received[0].message
    assert email["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = email["List-Unsubscribe"].strip("<>").removeprefix("https://desk.example.com")

    page = await anyone.get(path, headers=HTML)
    assert page.status_code == 200 and "ada@example.com" in page.text and f'action="{path}"' in page.text
    assert opted_out(owner_conn) == []  # opening the link changes nothing

    response = await anyone.post(path, data=ONE_CLICK, headers=HTML)
    assert response.status_code == 200 and "will receive no more e-mail" in response.text
    assert opted_out(owner_conn) == [("ada@example.com", "email", True)]
    event = owner_conn.execute(
        "SELECT project_id, actor_username, request_id, evidence_refs, payload FROM audit_events"
        " WHERE action = 'outbound.opt_out'"
    ).fetchall()
    assert event[0][:3] == (project.project_id, "system", response.headers["x-request-id"])
    assert [(e["source"], e["ref"]) for e in event[0][3]] == [("external", f"outbound:{message.id}")]
    assert event[0][4]["reason"] == "unsubscribe link of an e-mail"


@pytest.mark.parametrize("form", ["urlencoded", "multipart"])
async def test_mail_program_can_post_repeatedly_without_a_cookie(
    anyone: httpx2.AsyncClient, owner_conn: psycopg.Connection, path: str, form: str
):
    for _ in range(2):
        if form == "urlencoded":
            response = await anyone.post(path, data=ONE_CLICK)
        else:
            response = await anyone.post(path, files={"List-Unsubscribe": (None, b"One-Click")})
        assert response.status_code == 200
    assert opted_out(owner_conn) == [("ada@example.com", "email", True)]
    events = owner_conn.execute("SELECT count(*) FROM audit_events WHERE action = 'outbound.opt_out'").fetchone()
    assert events == (1,)


async def test_clients_receive_json(anyone: httpx2.AsyncClient, owner_conn: psycopg.Connection, path: str):
    response = await anyone.get(path)
    assert (response.status_code, response.json()["recipient"], response.json()["channel"]) == (
        200,
        "ada@example.com",
        "email",
    )
    assert opted_out(owner_conn) == []
    assert (await anyone.post(f"/api/v1{path}")).json()["ok"]
    assert opted_out(owner_conn) == [("ada@example.com", "email", True)]


async def test_other_projects_are_not_changed(
    anyone: httpx2.AsyncClient, db: Database, project: Scope, owner_conn: psycopg.Connection, path: str
):
    other = await new_projects.create(db, project.actor, "Other")
    await anyone.post(path, data=ONE_CLICK)
    project_ids = owner_conn.execute("SELECT project_id FROM contact_channel_policies").fetchall()
    assert project_ids == [(project.project_id,)] and other.id != project.project_id


async def test_invalid_link_shows_a_helpful_page(
    anyone: httpx2.AsyncClient, db: Database, project: Scope, owner_conn: psycopg.Connection, path: str
):
    gone = await UnsubscribeLinks(db, "https://d.example").url(uuid4(), UUID(int=0), "ada@example.com")
    assert gone is not None
    for link in (path[:-3], path + "x", "/webhooks/unsubscribe/nonsense", gone.removeprefix("https://d.example")):
        page = await anyone.post(link, data=ONE_CLICK, headers=HTML)
        assert page.status_code == 404 and "reply to the e-mail" in page.text
        refused = await anyone.post(link)
        assert (refused.status_code, refused.json()["error"]) == (404, "unsubscribe_link_invalid")
    assert (await anyone.get(path[:-3], headers=HTML)).status_code == 404
    await projects.archive(db, await scope.require_owner(db, project))
    assert (await anyone.post(path)).status_code == 404
    assert opted_out(owner_conn) == []
