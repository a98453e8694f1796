"""Every action that changes something records one event, with the id of its request."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.accounts import accounts, sessions
from proofdesk.accounts.sessions import LoginAttempt
from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.core.progress import ReportProgress
from proofdesk.database.pool import Database
from proofdesk.errors import Denied, Unavailable
from proofdesk.indexing import vectors
from proofdesk.jobs import runs
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from tests.support import stories
from tests.support.audit_events import list_actions, newest_event
from tests.support.jobs import start_run

PASSWORD = "long enough pw"
SETTINGS = Settings(login_rate_limit_max_attempts=3)


async def sign_in(db: Database, username: str = "amina", password: str = PASSWORD) -> str:
    login = LoginAttempt(username, password, "203.0.113.9", request_id="req-in")
    return (await sessions.sign_in(db, SETTINGS, login)).token


async def test_each_account_change_and_login_records_one_event(db: Database, owner_conn: psycopg.Connection):
    boss = Actor("boss", None, True, "req-1")
    await accounts.create(db, "amina", PASSWORD, boss)
    token = await sign_in(db)
    await sessions.sign_out(db, token, "req-out")
    await sessions.sign_out(db, token)
    await sign_in(db)
    await accounts.set_password(db, "amina", "another long one", boss)
    await sign_in(db, password="another long one")
    assert await accounts.end_sessions(db, "amina", boss) == 1
    assert await accounts.end_sessions(db, "amina", boss) == 0
    for _ in range(2):
        await accounts.disable(db, "amina", boss)
    for _ in range(2):
        await accounts.enable(db, "amina", boss)
    assert list_actions(owner_conn) == [
        "auth.user_created", "auth.login", "auth.logout", "auth.login", "auth.password_changed", "auth.login",
        "auth.sessions_ended", "auth.user_disabled", "auth.user_enabled",
    ]  # fmt: skip
    assert (newest_event(owner_conn)["actor_username"], newest_event(owner_conn)["request_id"]) == ("boss", "req-1")


async def test_failed_login_records_existing_usernames_only(db: Database, owner_conn: psycopg.Connection):
    await accounts.create(db, "amina", PASSWORD)
    with pytest.raises(Denied):
        await sign_in(db, password="wrong one")
    known = newest_event(owner_conn)
    assert (known["action"], known["status"], known["actor_username"]) == ("auth.login_failed", "failed", "nobody")
    assert known["payload"] == {"address": "203.0.113.9", "username": "amina"} and known["request_id"] == "req-in"
    with pytest.raises(Denied):
        await sign_in(db, username=PASSWORD)
    assert newest_event(owner_conn)["payload"] == {"address": "203.0.113.9", "username": None}
    everything = owner_conn.execute("SELECT string_agg(e::text, ' ') FROM audit_events e").fetchone()
    assert everything and PASSWORD not in everything[0] and "wrong one" not in everything[0]


async def test_failed_logins_record_at_most_the_allowed_attempts(db: Database, owner_conn: psycopg.Connection):
    for _ in range(SETTINGS.login_rate_limit_max_attempts + 4):
        with pytest.raises(Denied):
            await sign_in(db, username="guess")
    assert len(list_actions(owner_conn, "auth.login_failed")) == SETTINGS.login_rate_limit_max_attempts


async def test_owner_account_changes_from_settings_are_recorded(db: Database, owner_conn: psycopg.Connection):
    for name, password in (("owner", "the first one"), ("owner", "the first one"), ("boss", "the second one")):
        await accounts.ensure_owner(db, Settings(auth_username=name, auth_password=SecretStr(password)))
    assert list_actions(owner_conn) == ["auth.user_created", "auth.user_renamed", "auth.password_changed"]


async def _well(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
    return RunOutcome(3, {"messages": 3, "removed_there": 1, "inboxes": [{"big": "list"}], "model": "m"})


async def _badly(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
    raise Unavailable("Chatwoot answered 401: text of a customer", code="chatwoot_sync_failed")


@pytest.mark.parametrize(
    ("work", "status", "told"),
    [
        (_well, "ok", {"processed": 3, "counts": {"messages": 3, "removed_there": 1}, "error_code": None}),
        (_badly, "failed", {"processed": 0, "counts": {}, "error_code": "chatwoot_sync_failed"}),
    ],
    ids=["well", "badly"],
)
async def test_run_records_its_request_and_its_end(
    db: Database,
    project: Scope,
    owner_conn: psycopg.Connection,
    work: Callable[..., Awaitable[RunOutcome]],
    status: str,
    told: dict[str, Any],
):
    asked = await start_run(db, project, "chatwoot_sync", "cli")
    assert (await runs.request(db, project, "chatwoot_sync", "manual")).joined
    await runs.execute(db, project, asked.run, work)
    assert list_actions(owner_conn, "job.") == ["job.requested", "job.finished"]
    ended = newest_event(owner_conn)
    assert (ended["status"], ended["entity_id"]) == (status, str(asked.run.id))
    assert ended["payload"] == {"job_type": "chatwoot_sync"} | told


async def test_lost_run_is_recorded_before_the_next(db: Database, project: Scope, owner_conn: psycopg.Connection):
    await start_run(db, project, "chatwoot_sync", "cli")
    assert await runs.claim(db, project, "chatwoot_sync") is not None
    assert list_actions(owner_conn, "job.") == ["job.requested", "job.finished", "job.retried"]


async def test_retry_of_failed_chunks_is_recorded_if_there_are_any(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    stories.insert_conversations(owner_conn, project.project_id)
    await stories.make_searchable(db, project.project_id)
    await vectors.retry_failed(db, project)
    assert list_actions(owner_conn, "embeddings.") == []
    owner_conn.execute("UPDATE rag_chunks SET embedding_status = 'failed'")
    reset = await vectors.retry_failed(db, project)
    assert (newest_event(owner_conn)["action"], newest_event(owner_conn)["payload"]) == (
        "embeddings.retry_failed",
        {"reset": reset},
    )


async def test_failed_event_rolls_back_its_change(
    db: Database, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    await accounts.create(db, "amina", PASSWORD)
    token = await sign_in(db)

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(events, "record", broken)
    for change in (
        sessions.sign_out(db, token),
        accounts.disable(db, "amina"),
        accounts.set_password(db, "amina", "another long one"),
        accounts.create(db, "jonas", PASSWORD),
    ):
        with pytest.raises(RuntimeError):
            await change
    assert await sessions.load_session(db, token) is not None
    assert [p.username for p in await accounts.list_accounts(db)] == ["amina"]


async def test_request_id_is_recorded(anyone: httpx2.AsyncClient, db: Database, owner_conn: psycopg.Connection):
    await accounts.create(db, "amina", PASSWORD)
    body = {"username": "amina", "password": PASSWORD}
    signed = await anyone.post("/auth/login", json=body, headers={"x-request-id": "find-me-in"})
    assert (newest_event(owner_conn)["action"], newest_event(owner_conn)["request_id"]) == ("auth.login", "find-me-in")
    headers = {"x-request-id": "find-me-made", "x-csrf-token": signed.cookies["csrf_token"]}
    await anyone.post("/projects", json={"name": "Studio"}, headers=headers)
    assert (newest_event(owner_conn)["action"], newest_event(owner_conn)["request_id"]) == (
        "project.created",
        "find-me-made",
    )
    await anyone.post("/auth/logout", headers={"x-request-id": "find-me-out"})
    assert (newest_event(owner_conn)["action"], newest_event(owner_conn)["request_id"]) == (
        "auth.logout",
        "find-me-out",
    )
