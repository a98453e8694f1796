"""Projects and sources, over HTTP."""

from tests.support.server import Cast


async def test_a_project_is_created_selected_and_listed(cast: Cast):
    client = cast.member.client
    project = (await client.post("/projects", json={"name": "  Second   one "})).json()["project"]
    assert project["name"] == "Second one" and project["created_at"].endswith("Z")
    selected = await client.post(f"/projects/{project['id']}/select")
    assert selected.json()["active_project_id"] == project["id"] and selected.json()["project"] == project
    listed = (await client.get("/projects")).json()
    assert [p["name"] for p in listed["projects"]] == ["Project A", "Second one"]
    assert (listed["active_project_id"], listed["account_scope_id"]) == (project["id"], project["account_scope_id"])


async def test_a_name_has_2_to_160_characters(cast: Cast):
    for name in ("", "x", " x ", "x" * 161, None):
        answer = await cast.member.client.post("/projects", json={"name": name})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_name")


async def test_a_project_id_is_a_uuid(cast: Cast):
    for path in ("/projects/7/select", "/projects/7/sources"):
        answer = await cast.member.client.request("POST" if "select" in path else "GET", path)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_project_id")
    unknown = await cast.member.client.post("/projects/00000000-0000-0000-0000-000000000000/select")
    assert (unknown.status_code, unknown.json()["error"]) == (404, "project_not_found")


async def test_a_source_is_bound_listed_and_unbound(cast: Cast):
    client, sources = cast.member.client, f"/projects/{cast.member.project_id}/sources"
    bound = await client.post(sources, json={"source_kind": "chatwoot_inbox", "external_id": "7:2"})
    assert bound.status_code == 201
    source = bound.json()["source"]
    assert source.keys() == {"id", "source_kind", "external_id", "created_at"}
    assert (await client.get(sources)).json()["sources"] == [source]
    assert (await client.delete(f"{sources}/{source['id']}")).status_code == 200
    again = await client.delete(f"{sources}/{source['id']}")
    assert (again.status_code, again.json()["error"]) == (404, "source_not_found")
    assert (await client.delete(f"{sources}/no-id")).status_code == 404


async def test_a_source_belongs_to_one_project(cast: Cast):
    body = {"source_kind": "chatwoot_account", "external_id": "7"}
    assert (await cast.member.client.post(f"/projects/{cast.member.project_id}/sources", json=body)).status_code == 201
    other = f"/projects/{cast.stranger.project_id}/sources"
    second = await cast.stranger.client.post(other, json=body)
    assert (second.status_code, second.json()["error"]) == (409, "source_already_bound")


async def test_a_source_id_of_another_form_is_refused(cast: Cast):
    sources = f"/projects/{cast.member.project_id}/sources"
    for body in (
        {"source_kind": "chatwoot_inbox", "external_id": "7"},
        {"source_kind": "mailbox", "external_id": "7"},
        {"source_kind": "chatwoot_account", "external_id": "9" * 30},
        {"source_kind": "chatwoot_account"},
        {"source_kind": 1, "external_id": 2},
        [],
    ):
        assert (await cast.member.client.post(sources, json=body)).status_code == 400, body
