"""Evidence bundles contain what their runbook promises, and no secret and no personal data."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from pydantic import SecretStr

from proofdesk import logging
from proofdesk.audit import events
from proofdesk.runbooks import bundle, registry
from proofdesk.runbooks.redaction import Redactor
from proofdesk.settings import Settings
from tests.runbooks.installation import REQUEST, Installation

SECRETS = {
    "openai_api_key": "sk-planted-key-0001",
    "chatwoot_api_token": "PlantedChatwootToken",
    "telegram_bot_token": "7000000001:planted-bot-token-xyz",
    "telegram_webhook_secret": "planted_webhook_secret",
    "signup_pin_secret": "planted pin secret",
    "auth_password": "planted owner password",
    "smtp_url": "smtp://mailer:planted-relay-password@127.0.0.1:9?tls=none",
}
PEOPLE = ("Zebulon Quackenbush", "zebulon@quackenbush.example", "+49 151 2345 6789", "203.0.113.77", "amina.the.agent")
TEXTS = ("The grand piano must be moved before Thursday noon", "Dear Zebulon, your grand piano is on its way")
OTHERS = ("sid-value-planted-A1b2C3d4E5f6G7h8", "PIN 493817", "Bearer planted-bearer-token", "planted-relay-password",
          "planted-base-password", "planted-query-key")  # fmt: skip
BASE_URL = "https://user:planted-base-password@ai.example/v1?api-key=planted-query-key"


async def _plant(installation: Installation) -> None:
    """Put secrets and personal data into settings, rows, errors of runs, headers, events and the log."""
    installation.sql(
        "UPDATE cw_contacts SET name = %(name)s, email = %(mail)s, phone_number = %(phone)s",
        name=PEOPLE[0], mail=PEOPLE[1], phone=PEOPLE[2],
    )  # fmt: skip
    installation.sql("UPDATE cw_messages SET content = %(text)s", text=TEXTS[0])
    installation.sql("UPDATE cw_conversations SET assignee_name = %(name)s", name=PEOPLE[4])
    everything = " ".join((*SECRETS.values(), *PEOPLE, *OTHERS, f'refused "{TEXTS[1]}"', TEXTS[0]))
    for job_type in ("chatwoot_sync", "embeddings_run"):
        installation.failed_run(job_type, everything, json.dumps({"said": everything, "email": PEOPLE[1]}))
    installation.sql("UPDATE scheduled_jobs SET last_error = %(all)s, last_status = 'failed'", all=everything)
    installation.sql("UPDATE rag_chunks SET embedding_status = 'failed', error = %(all)s", all=everything)
    installation.sql(
        "INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,"
        " idempotency_key, request_hash, max_retries, created_by) VALUES (%(project)s, %(account_scope)s, 'email',"
        " %(to)s, %(payload)s::jsonb, '[]', 'k', '', 5, 'ben')",
        to=PEOPLE[1],
        payload=json.dumps({"subject": TEXTS[0], "text": TEXTS[1]}),
    )
    async with installation.db.transaction() as conn:
        payload = {"address": PEOPLE[3], "username": PEOPLE[4], "note": everything}
        await events.record(
            conn, events.anonymous_actor(), "auth.login_failed", "user", None, status="failed", payload=payload
        )
    headers = {"cookie": "[not shown]", "x-forwarded-for": PEOPLE[3], "referer": f"https://x.example/?t={OTHERS[0]}"}
    installation.request = replace(REQUEST, peer=PEOPLE[3], headers=headers, forwarded={"x-forwarded-for": PEOPLE[3]})
    event = {"logger": "proofdesk.accounts", "event": everything, "status": 401}
    logging._remember(None, "warning", event)


def _unpacked(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def _bundle(installation: Installation, slug: str) -> dict[str, str]:
    async with installation.context() as context:
        return _unpacked((await bundle.build_bundle(context, registry.get_runbook(slug))).content)


async def test_no_bundle_contains_secrets_or_personal_data(installation: Installation):
    await _plant(installation)
    secrets = {name: SecretStr(value) for name, value in SECRETS.items()}
    installation.set(**secrets, smtp_from="desk@example.com", answer_base_url=BASE_URL)
    leaked = []
    for runbook in registry.list_runbooks():
        files = await _bundle(installation, runbook.slug)
        assert sorted(files) == ["report.json", "report.md"]
        for needle in (*SECRETS.values(), *PEOPLE, *TEXTS, *OTHERS, TEXTS[1][:25], "Quackenbush", "493817"):
            leaked += [(runbook.slug, name, needle) for name, text in files.items() if needle.lower() in text.lower()]
    assert leaked == []


CAPTURED = {
    "search-returns-no-results": ("Status of the jobs", "Error of the last run", "Project"),
    "chatwoot-sync-fails": ("Failing request", "Accounts and inboxes"),
    "auth-loop": ("Request and response headers", "Log of this process about signing in"),
    "scheduler-worker-failing": ("Schedules", "Latest failed runs with upstream errors"),
    "embeddings-fail": ("Error of the last run", "Counts of messages and chunks"),
    "signup-disabled": (
        "Signup status",
        "Webhook delivery status",
        "Log of this process about signing in and signing up",
    ),
    "outbound-blocked": ("Messages with attempts and policy", "Related audit events (`outbound.*`)"),
}


@pytest.mark.parametrize("slug", CAPTURED)
async def test_bundles_contain_the_promised_evidence(installation: Installation, slug: str):
    upstream = {"upstream": {"service": "chatwoot", "method": "GET", "endpoint": "/api/v1/x", "status": 500}}
    installation.failed_run("chatwoot_sync", "Chatwoot answered 500.", json.dumps(upstream | {"account_id": 1}))
    files = await _bundle(installation, slug)
    report = json.loads(files["report.json"])
    assert set(CAPTURED[slug]) <= set(report["evidence"])
    assert not [t for t, content in report["evidence"].items() if str(content).startswith("Could not be gathered")]
    assert all(f"## {title}" in files["report.md"] for title in report["evidence"])
    assert {c["id"] for c in report["checks"]} == {c.id for c in registry.get_runbook(slug).checks}
    if slug == "search-returns-no-results":
        assert report["evidence"]["Project"]["project"] == "Studio"
        assert report["evidence"]["Status of the jobs"]["rag_counts"]["ready"] > 0
    if slug == "chatwoot-sync-fails":
        [run] = report["evidence"]["Failing request"]
        assert (run["error"], run["error_details"]["upstream"]["endpoint"]) == ("Chatwoot answered 500.", "/api/v1/x")
        assert report["evidence"]["Accounts and inboxes"]["sources"] == [{"account_id": 1, "inbox_id": None}]
    if slug == "embeddings-fail":
        assert "EMBED_BATCH_SIZE=100" in report["settings"]


def test_technical_details_are_not_redacted():
    mask = Redactor(Settings())
    kept = (
        "Chatwoot answered 502 to GET /api/v1/accounts/1/inboxes (account 1): an HTML page,"
        " probably from a proxy in front of Chatwoot.",
        "7b1d1c9e-6b0f-4b67-9a29-2a6f0a3b5c77 failed at 2026-03-02T09:14:05Z after 30000 ms",
        "openai:text-embedding-3-small@256 does not exist; see rag_vectors_hnsw_256",
    )
    assert [mask.redact_text(text) for text in kept] == list(kept)
