"""A member of one project calls every route with ids of another project, and sees and changes nothing of it."""

import io
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from proofdesk.http.app import JSON_ROUTERS
from proofdesk.http.web import routers
from tests.support.server import PASSWORD, Person, create_person
from tests.support.worlds import ONLY_THERE, World, project_hashes

# Values for every field of every route: an id of the target project, or a harmless value.
FIELDS: dict[str, Callable[[World], Any]] = {
    "project_id": lambda w: str(w.project_id),
    "source_id": lambda w: str(w.source_id),
    "run_id": lambda w: str(w.run_id),
    # All projects have the same job types.
    "/v1/jobs/scheduler/{job_type}.job_type": lambda _: "none_of_ours",
    "/jobs/scheduler/{job_type}.job_type": lambda _: "none_of_ours",
    "/v1/jobs/scheduler/{job_type}.status": lambda _: "paused",
    "/jobs/scheduler/{job_type}.status": lambda _: "paused",
    "cadence_seconds": lambda _: 60,
    "conversation_id": lambda w: w.conversation(),
    "conversation_global_id": lambda w: w.conversation(),
    **dict.fromkeys(["contact_global_id", "contact_id"], lambda w: f"cwc:{w.project_id}:7:11"),
    "username": lambda w: w.member,
    "entity_id": lambda w: str(w.source_id),
    **dict.fromkeys(["hit", "message_id"], lambda w: w.message()),
    "before": lambda w: w.message(10105),
    "external_id": lambda w: w.source,
    "filters": lambda w: {"conversation_global_id": w.conversation()},
    "outbound_id": lambda w: str(w.outbound["draft"]),
    "recipient_ref": lambda w: w.conversation(),
    "/v1/outbound/draft.channel": lambda _: "chatwoot",
    "/v1/outbound/opt-out.channel": lambda _: "email",
    "payload": lambda _: {"text": "Hello"},
    "idempotency_key": lambda _: "key of draft",
    "dedupe_key": lambda _: "dedupe key of draft",
    "/outbound/draft.evidence_refs": lambda w: [w.message()],
    "evidence": lambda w: w.message(),
    "to": lambda w: w.conversation(),
    **dict.fromkeys(["/outbound.channel", "/outbound/draft.channel"], lambda _: "chatwoot"),
    "/outbound/opt-out.channel": lambda _: "email",
    **dict.fromkeys(["answer_id", "commitment_id"], lambda w: str(w.project_id)),  # those in `worlds`
    "/v1/commitments/{commitment_id}.state": lambda _: "open",
    "what": lambda _: "a promise",
    **dict.fromkeys(["due", "due_before"], lambda _: "2026-03-01"),
    "contact": lambda w: f"cwc:{w.project_id}:7:11",
    "/commitments/{commitment_id}.state": lambda _: "open",
    **dict.fromkeys(["state", "owner", "overdue", "language", "show", "by", "timezone"], lambda _: None),
    "question": lambda _: "When is the delivery?",
    "useful": lambda _: True,
    "/answers/{answer_id}/feedback.useful": lambda _: "yes",
    **dict.fromkeys(["comment", "include_private"], lambda _: None),
    "find": lambda _: "Amina",
    **dict.fromkeys(["subject", "text"], lambda _: "Hello"),
    "evidence_refs": lambda w: [{"source": "cw_messages", "ref": w.message()}],
    "opted_out": lambda _: False,
    "reason": lambda _: "a reason",
    "origin": lambda _: "",
    "content_hash": lambda _: "",
    "read_hash": lambda _: "",
    "chunk_id": lambda w: f"{w.message()}#0",
    "/v1/suppressions.reason": lambda _: "manual",
    "/v1/suppressions.channel": lambda _: "email",
    "/suppressions.channel": lambda _: "email",
    "/suppressions/remove.channel": lambda _: "email",
    "address": lambda _: "gone@example.com",
    "expires_at": lambda _: "2030-01-01T00:00Z",
    "detail": lambda _: "a detail",
    "incident_id": lambda w: str(w.project_id),  # of the incident in `worlds`
    "state": lambda _: "open",
    **dict.fromkeys(["daily", "weekly"], lambda _: True),
    **dict.fromkeys(["/digest.daily", "/digest.weekly"], lambda _: "1"),
    "cadence": lambda _: "daily",
    "email": lambda _: "ada@example.com",
    "telegram": lambda _: False,
    "/digest.telegram": lambda _: "",
    "on": lambda _: True,
    "all_projects": lambda _: False,
    "send_unconfirmed": lambda _: True,
    **dict.fromkeys(["frequency_cap", "frequency_window_hours"], lambda _: 7),
    **dict.fromkeys(["q", "query"], lambda _: "delivery"),
    "delivery": lambda _: None,  # the sample messages have no delivery report
    "/v1/outbound.q": lambda w: w.word,
    "/v1/contacts.q": lambda _: "Amina",
    **dict.fromkeys(["password", "new"], lambda _: "a long enough password"),
    "current": lambda _: PASSWORD,
    "name": lambda _: "Renamed",
    "wait": lambda _: 0,
    "mode": lambda _: "text",
    "role": lambda _: "manager",
    "source_kind": lambda _: "chatwoot_inbox",
    # Runbooks and pages of the documentation belong to no project. The ids of "another project" do not exist.
    "slug": lambda w: "nonsense" if w.word == "bramble" else "search-returns-no-results",
    "path": lambda w: "nonsense" if w.word == "bramble" else "index.html",
    "client_time": lambda _: None,
    "signup_request_id": lambda w: str(w.run_id),
    "pin": lambda _: "000000",
    "update_id": lambda _: 1,
    "next": lambda _: "/search",
    "topK": lambda _: 50,
    "limit": lambda _: 500,
    "page": lambda _: 1,
    **dict.fromkeys(
        [
            "account_scope_key", "account_scope_name", "action", "all", "allowed", "channel", "compose", "create",
            "assigned", "assigned_to", "done", "entity_type", "inbox_id", "job_type", "mark_replied", "max_retries",
            "message", "offset", "preview", "scheduled_at", "secret", "signup", "status", "stop_on_reply",
        ],
        lambda _: None,
    ),
}  # fmt: skip
# Fields of pages that are parsed from the whole query string.
READ_AS_A_WHOLE = {"/search": ["q", "mode"]}


# Whoever has such a link may use it. Only the installation creates links.
BY_LINK = {"/v1/webhooks/unsubscribe/{token}", "/webhooks/unsubscribe/{token}", "/calendar/{project_id}/{token}.ics"}


@dataclass(frozen=True)
class Call:
    """A route and how it is called."""

    method: str
    path: str
    in_path: list[str]
    in_query: list[str]
    in_body: list[str]

    @property
    def is_page(self) -> bool:
        return not self.path.startswith("/v1")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def _calls() -> Iterator[Call]:
    for router in (*JSON_ROUTERS, *routers.ROUTERS):
        for route in router.routes:
            if isinstance(route, APIRoute) and route.path not in BY_LINK:
                places = {kind: sorted(set(_fields(route.dependant, kind))) for kind in ("path", "query", "body")}
                query = places["query"] + READ_AS_A_WHOLE.get(route.path, [])
                for method in sorted(route.methods or ()):
                    yield Call(method, route.path, places["path"], query, places["body"])


def _fields(needs: Dependant, kind: str) -> Iterator[str]:
    for field in getattr(needs, f"{kind}_params"):
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (inner.alias or name for name, inner in model.model_fields.items())
        else:
            yield field.alias
    for inside in needs.dependencies:
        yield from _fields(inside, kind)


CALLS = list(_calls())


@pytest.fixture
async def ari(server: str, owner_conn: psycopg.Connection, ours: World, theirs: World) -> AsyncIterator[Person]:
    """The creator of our project, who is not a member of theirs."""
    person = create_person(server, owner_conn, "ari")
    person.project_id = ours.project_id
    yield person
    await person.client.aclose()


def test_every_field_of_every_route_can_be_filled():
    for call in CALLS:
        for name in (*call.in_path, *call.in_query, *call.in_body):
            assert name in FIELDS, f"tell in {__name__}.FIELDS what to fill {name} of {call} with"


async def test_routes_ignore_ids_of_another_project(
    ari: Person, owner_conn: psycopg.Connection, ours: World, theirs: World
):
    before = project_hashes(owner_conn, theirs)
    for call in CALLS:
        _restore(owner_conn, ari)
        answer, text = await _send(ari, call, theirs)
        assert theirs.word not in text.lower(), f"{call} shows what is of another project:\n{text[:2000]}"
        assert answer.status_code < 500, call
        if call.in_path:
            assert answer.status_code == 404, f"{call} says {answer.status_code} for ids of another project"
        assert project_hashes(owner_conn, theirs) == before, f"{call} changed another project"


async def test_ids_of_another_project_are_not_found_in_the_own(
    ari: Person, owner_conn: psycopg.Connection, ours: World, theirs: World
):
    before = project_hashes(owner_conn, theirs)
    nested = [c for c in CALLS if "project_id" in c.in_path and len(c.in_path) > 1]
    assert nested
    for call in nested:
        _restore(owner_conn, ari)
        answer, _ = await _send(ari, call, theirs, project_id=str(ours.project_id))
        # Accounts belong to the installation: the owner of a project can add any of them.
        assert answer.status_code == (200 if call.method == "PUT" else 404), call
        assert project_hashes(owner_conn, theirs) == before, f"{call} changed another project"


async def test_numbers_of_another_project_are_not_found(
    ari: Person, owner_conn: psycopg.Connection, ours: World, theirs: World
):
    _restore(owner_conn, ari)
    for world in (ours, theirs):
        for accept in ("text/html", "*/*"):
            path = f"/conversations/{world.conversation(ONLY_THERE)}/thread"
            assert (await ari.client.get(path, headers={"accept": accept})).status_code == 404


async def test_own_ids_are_found(ari: Person, owner_conn: psycopg.Connection, ours: World, theirs: World):
    """Otherwise the tests above would prove nothing."""
    found = set()
    for call in CALLS:
        if call.method == "GET" or call.path == "/v1/search":
            _restore(owner_conn, ari)
            answer, text = await _send(ari, call, ours)
            assert answer.status_code in (200, 303, 307), f"{call} returned {answer.status_code}"
            found |= {call.path} if ours.word in text else set()
    assert found >= {
        "/v1/search", "/v1/contacts", "/v1/conversations", "/v1/messages", "/v1/conversations/{conversation_id}/thread",
        "/v1/audit", "/v1/evidence/search", "/v1/outbound", "/v1/outbound/{outbound_id}", "/search",
        "/conversations/{conversation_id}/thread", "/audit",
    }  # fmt: skip


async def _send(person: Person, call: Call, target: World, **instead: str) -> tuple[httpx2.Response, str]:
    path = call.path
    for name in call.in_path:
        value = instead.get(name) or _value(call, name, target)
        path = path.replace("{" + name + "}", value).replace("{" + name + ":path}", value)
    query, body = _fill(call, call.in_query, target), _fill(call, call.in_body, target)
    options: dict[str, Any] = {"params": query, "headers": {"accept": "text/html"} if call.is_page else {}}
    if call.method != "GET":
        options["data" if call.is_page else "json"] = body | ({"csrf_token": person.csrf} if call.is_page else {})
    async with person.client.stream(call.method, path, **options) as answer:
        endless = "event-stream" in answer.headers.get("content-type", "")
        text = "" if endless else _text(answer, await answer.aread())
    return answer, text


def _text(answer: httpx2.Response, body: bytes) -> str:
    if answer.headers.get("content-type") != "application/zip":
        return body.decode()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())


def _fill(call: Call, names: list[str], target: World) -> dict[str, Any]:
    values = {name: _value(call, name, target) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _value(call: Call, name: str, target: World) -> Any:
    return (FIELDS.get(f"{call.path}.{name}") or FIELDS[name])(target)


def _restore(conn: psycopg.Connection, person: Person) -> None:
    """Restore the session, the ownership and the active project of the user, whatever the last call did."""
    conn.execute("UPDATE app_users SET disabled_at = NULL WHERE id = %s", [person.id])
    conn.execute(
        "UPDATE projects SET archived_at = NULL, created_by = %s, name = 'Ours' WHERE id = %s",
        [person.id, person.project_id],
    )
    conn.execute("DELETE FROM project_members WHERE project_id = %s", [person.project_id])
    conn.execute(
        "INSERT INTO project_members (project_id, account_scope_id, user_id, role)"
        " SELECT id, account_scope_id, %s, 'manager' FROM projects WHERE id = %s",
        [person.id, person.project_id],
    )
    conn.execute("DELETE FROM sessions WHERE user_id = %s", [person.id])
    conn.execute(
        "INSERT INTO sessions (id_hash, user_id, csrf_token, active_project_id, expires_at)"
        " VALUES (sha256(%s::bytea), %s, %s, %s, now() + interval '1 day')",
        [person.token.encode(), person.id, person.csrf, person.project_id],
    )
    person.client.cookies.clear()
    person.client.cookies.set("sid", person.token)
