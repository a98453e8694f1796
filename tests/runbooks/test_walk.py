"""The operators' page, line by line: whatever it names is there and behaves so. What it names is listed here."""

import re
from pathlib import Path

import psycopg
import pytest
from fastapi.routing import APIRoute

from proofdesk import api
from proofdesk.runbooks import book
from proofdesk.settings import Settings
from proofdesk.web import routers

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT.parent / "shared" / "RUNBOOKS.md"
OURS = ROOT / "docs" / "runbooks.md"

ROUTES = {
    "GET /search", "GET /login", "GET /jobs/scheduler", "GET /jobs/status", "GET /auth/signup/status",
    "GET /outbound", "POST /jobs/scheduler/tick", "POST /jobs/chatwoot/sync", "POST /jobs/embeddings/run",
    "POST /auth/signup/start", "POST /auth/telegram/webhook", "POST /outbound/process",
}  # fmt: skip
TABLES = {
    "cw_messages", "rag_chunks", "worker_runs", "project_sources", "contact_channel_policies", "outbound_attempts",
    "audit_events",
}  # fmt: skip
COLUMNS = {
    "rag_chunks": {"project_id", "embedding_status"},
    "scheduled_jobs": {"last_error", "next_run_at"},
    "contact_channel_policies": {"opted_out", "stop_on_reply", "frequency_cap"},
    "outbound_messages": {"last_error", "status"},
}
VARIABLES = {
    "OPENAI_API_KEY", "EMBED_BATCH_SIZE", "CHATWOOT_BASE_URL", "CHATWOOT_API_TOKEN", "CHATWOOT_ACCOUNT_ID",
    "CORS_ORIGIN", "TELEGRAM_BOT_TOKEN", "TELEGRAM_WEBHOOK_SECRET", "SIGNUP_PIN_SECRET",
}  # fmt: skip
STATES = {"draft", "approved", "failed", "blocked_opt_out", "sent"}
WORDS = {
    "has_telegram_token", "owner_bound", "csrf_invalid", "frequency_cap_reached", "x-csrf-token", "/bind", "outbound.*",
    "ready = 0", "embedding_status='ready'", "EMBED_BATCH_SIZE=20", "draft/approved/failed/blocked_opt_out",
    "docs/index.md", "/jobs",
}  # fmt: skip
TITLES = {
    "Search returns no results": "search-returns-no-results",
    "Chatwoot sync job fails": "chatwoot-sync-fails",
    "Auth loop / unauthorized": "auth-loop",
    "Scheduler tick / worker jobs failing": "scheduler-worker-failing",
    "Embeddings job fails": "embeddings-fail",
    "Signup disabled / PIN flow unavailable": "signup-disabled",
    "Outbound delivery blocked or failing": "outbound-blocked",
}


def test_the_page_names_nothing_that_is_not_listed_here():
    if not PAGE.exists():
        pytest.skip("the page is not here")
    text = PAGE.read_text("utf-8")
    known = {w for group in (TABLES, VARIABLES, STATES, WORDS, *COLUMNS.values()) for w in group}
    known |= ROUTES | {route.split()[1] for route in ROUTES}
    named = [word for line in text.splitlines() for word in re.findall(r"`([^`]+)`", line)]
    assert [word for word in named if word not in known and not word.startswith(("scoped", "./"))] == []
    assert set(re.findall(r"## Runbook: (.+)", text)) == set(TITLES)


def test_every_incident_of_the_page_is_in_the_book_under_its_title():
    assert {r.title: r.slug for r in book.all()} == TITLES


def test_every_route_of_the_page_is_there():
    there = {
        f"{method} {route.path.removeprefix('/v1')}"
        for router in (*api.ROUTERS, *routers.ROUTERS)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert sorted(ROUTES - there) == []


def test_every_table_column_and_state_of_the_page_is_there(owner_conn: psycopg.Connection):
    rows = owner_conn.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    ).fetchall()
    assert {table for table, _ in rows} >= TABLES
    assert [(t, c) for t, columns in COLUMNS.items() for c in columns if (t, c) not in rows] == []
    checks = owner_conn.execute(
        "SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint"
        " WHERE conrelid IN ('outbound_messages'::regclass, 'rag_chunks'::regclass)"
    ).fetchone()
    assert checks is not None
    assert [state for state in (*STATES, "ready") if f"'{state}'" not in checks[0]] == []


def test_every_variable_of_the_page_is_a_setting():
    assert {name.upper() for name in Settings.model_fields} >= VARIABLES


def test_our_page_has_one_structure():
    sections = OURS.read_text("utf-8").split("\n## ")[1:]
    assert [s.splitlines()[0] for s in sections] == [r.title for r in book.all()]
    parts = ("**Symptom.**", "**Impact.**", "**Checks**", "**Fix**", "**Evidence to capture**")
    for section in sections:
        places = [section.index(part) for part in parts]
        assert places == sorted(places)


def test_every_fix_that_names_a_route_names_one_that_is_there():
    there = {
        (method, route.path.removeprefix("/v1"))
        for router in api.ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    wanted = {(f.method, f.path) for r in book.all() for c in r.checks for f in c.fixes if f.path}
    missing = {(m, p) for m, p in wanted if not any(m == n and _fits(p, q) for n, q in there)}
    assert missing == set()


def _fits(path: str, route: str) -> bool:
    pattern = re.sub(r"\{[^}]+\}", "[^/]+", route)
    return re.fullmatch(pattern, re.sub(r"\{[^}]+\}", "x", path)) is not None
