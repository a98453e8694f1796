"""Projects and their members: visibility, rights, and the audit event of each change."""

import psycopg
import pytest

from proofdesk.accounts import accounts
from proofdesk.audit.events import Actor, system_actor
from proofdesk.database.pool import Database
from proofdesk.errors import Denied, Invalid
from proofdesk.jobs import new_projects
from proofdesk.projects import members, projects, scope, sources
from proofdesk.projects.scope import ProjectNotFound, Scope
from tests.support.audit_events import list_actions, newest_event
from tests.support.projects import new_project
from tests.support.server import Cast, Person


async def person(db: Database, username: str) -> Actor:
    account = await accounts.create(db, username, "long enough pw")
    await accounts.allow_sources(db, username)
    return Actor(account.username, account.id, False)


async def test_each_change_records_one_event(db: Database, owner_conn: psycopg.Connection):
    amina = await person(db, "amina")
    await person(db, "jonas")
    owner = await scope.require_owner(db, await new_project(db, "Studio", amina))
    await projects.rename(db, owner, "Atelier")
    await projects.rename(db, owner, "Atelier")
    for _ in range(2):
        await members.add(db, owner, "Jonas")
    await members.remove(db, owner, "jonas")
    with pytest.raises(members.MemberNotFound):
        await members.remove(db, owner, "jonas")
    await sources.bind(db, owner, "chatwoot_account", "7")
    await projects.archive(db, owner)
    assert list_actions(owner_conn, "project.") == [
        "project.created", "project.renamed", "project.member_added", "project.member_removed", "project.archived",
    ]  # fmt: skip
    assert newest_event(owner_conn)["payload"] == {"sources": ["7"]}


async def test_refused_change_records_no_event(db: Database, owner_conn: psycopg.Connection):
    owner = await scope.require_owner(db, await new_project(db, "Studio"))
    before = list_actions(owner_conn)
    with pytest.raises(Invalid):
        await projects.rename(db, owner, "x")
    with pytest.raises(members.MemberUserNotFound):
        await members.add(db, owner, "nobody")
    with pytest.raises(Invalid):
        await new_projects.create(db, system_actor(), "")
    assert list_actions(owner_conn) == before


async def test_archived_project_is_hidden_and_keeps_its_data(db: Database, owner_conn: psycopg.Connection):
    amina = await person(db, "amina")
    inside = await new_project(db, "Studio", amina)
    owner = await scope.require_owner(db, inside)
    await sources.bind(db, inside, "chatwoot_account", "7")
    owner_conn.execute(
        "INSERT INTO sync_watermarks (project_id, account_scope_id, source) VALUES (%s, %s, 'x')",
        [inside.project_id, inside.account_scope_id],
    )
    assert [s.external_id for s in await projects.archive(db, owner)] == ["7"]
    for actor in (amina, system_actor()):
        assert await projects.list_visible(db, actor) == []
        with pytest.raises(ProjectNotFound):
            await scope.enter(db, actor, inside.project_id)
    for again in (projects.archive(db, owner), projects.rename(db, owner, "Back")):
        with pytest.raises(ProjectNotFound):
            await again
    assert owner_conn.execute("SELECT count(*) FROM sync_watermarks").fetchone() == (1,)
    await sources.bind(db, await new_project(db, "Next"), "chatwoot_account", "7")


async def test_member_is_not_an_owner(db: Database):
    amina, jonas = await person(db, "amina"), await person(db, "jonas")
    owner = await scope.require_owner(db, await new_project(db, "Studio", amina))
    await members.add(db, owner, "jonas")
    inside = await scope.enter(db, jonas, owner.project_id)
    assert [m.username for m in await members.list_members(db, inside)] == ["amina", "jonas"]
    with pytest.raises(Denied) as refused:
        await scope.require_owner(db, inside)
    assert (refused.value.code, refused.value.status) == ("forbidden", 403)


async def test_members_see_the_project_until_they_are_removed(cast: Cast):
    project = cast.member.project_id
    names = f"/projects/{project}/members"

    async def sees(who: Person) -> bool:
        listed = (await who.client.get("/projects")).json()["projects"]
        return str(project) in [p["id"] for p in listed]

    assert not await sees(cast.stranger)
    for method, path in (("GET", names), ("PUT", f"{names}/stranger"), ("DELETE", f"{names}/member")):
        answer = await cast.stranger.client.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (404, "project_not_found")
    added = await cast.member.client.put(f"{names}/stranger", json={"role": "member"})
    assert [(m["username"], m["role"]) for m in added.json()["members"]] == [
        ("member", "manager"),
        ("stranger", "member"),
    ]
    assert added.json()["members"][1]["added_at"].endswith("Z") and await sees(cast.stranger)
    assert (await cast.stranger.client.get(names)).status_code == 200
    for method, path, body in (
        ("PUT", f"{names}/owner", {}), ("DELETE", f"{names}/member", None),
        ("PATCH", f"/projects/{project}", {"name": "X"}), ("POST", f"/projects/{project}/archive", {}),
    ):  # fmt: skip
        refused = await cast.stranger.client.request(method, path, json=body)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    assert (await cast.owner.client.delete(f"{names}/stranger")).status_code == 200
    assert not await sees(cast.stranger)
    assert (await cast.stranger.client.get(names)).status_code == 404


async def test_members_have_an_account_and_one_role(cast: Cast):
    names = f"/projects/{cast.member.project_id}/members"
    nobody = await cast.member.client.put(f"{names}/not-there", json={})
    assert (nobody.status_code, nobody.json()["error"]) == (404, "user_not_found")
    gone = await cast.member.client.delete(f"{names}/stranger")
    assert (gone.status_code, gone.json()["error"]) == (404, "member_not_found")
    assert (await cast.member.client.put(f"{names}/stranger", json={"role": "admin"})).status_code == 400
    assert (await cast.member.client.put(f"{names}/stranger")).status_code == 200


async def test_project_is_renamed_and_archived_over_http(cast: Cast):
    client, path = cast.member.client, f"/projects/{cast.member.project_id}"
    assert (await client.patch(path, json={"name": "New name"})).json()["project"]["name"] == "New name"
    assert (await client.patch(path, json={})).json()["error"] == "invalid_name"
    bound = await client.post(f"{path}/sources", json={"source_kind": "chatwoot_account", "external_id": "7"})
    assert bound.status_code == 201
    put_away = (await client.post(f"{path}/archive")).json()
    assert put_away["released_sources"] == ["7"] and "data stays" in put_away["message"]
    assert (await client.get("/projects")).json()["projects"] == []
    assert (await client.get("/jobs/runs")).json()["error"] == "active_project_required"
    for other in ("/members", "/sources"):
        assert (await cast.owner.client.get(path + other)).status_code == 404


async def test_unbinding_says_that_the_data_stays(cast: Cast):
    sources_path = f"/projects/{cast.member.project_id}/sources"
    body = {"source_kind": "chatwoot_account", "external_id": "7"}
    source = (await cast.member.client.post(sources_path, json=body)).json()["source"]
    told = (await cast.member.client.delete(f"{sources_path}/{source['id']}")).json()
    assert told["source"] == source and "import has stopped" in told["message"] and "stays" in told["message"]


def test_project_owner_is_a_scope():
    assert issubclass(scope.ProjectOwner, Scope)
