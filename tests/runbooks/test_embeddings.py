"""The runbook names each cause of failed embeddings."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from tests.runbooks.installation import Installation, many_vectors

SLUG = "embeddings-fail"
TOO_LARGE = '{"batch_size": 100, "upstream": {"service": "openai", "status": 400}}'
STUCK = "UPDATE rag_chunks SET embedding_status = 'processing', claimed_at = now() - interval '1 day'"
REFUSED = "UPDATE rag_chunks SET embedding_status = 'failed', error = 'Invalid input[' || message_id || '].'"

FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no key": ("provider", lambda i: i.set(openai_api_key=None, openai_base_url=None, embedding_provider="openai")),
    "nobody there": ("reachable", lambda i: i.set(openai_base_url="http://127.0.0.1:9/v1")),
    "out of order": ("reachable", lambda i: i.openai.fail("unavailable")),
    "a provider that is too slow": (
        "reachable",
        lambda i: (i.openai.fail("delay", delay=1), i.set(openai_timeout_ms=200)),
    ),
    "a wrong key": ("key", lambda i: i.set(openai_api_key=SecretStr("sk-wrong"))),
    "no quota": ("quota", lambda i: i.openai.fail("insufficient_quota")),
    "throttled": ("rate-limit", lambda i: i.openai.fail("rate_limit")),
    "no such model": ("model", lambda i: i.set(embedding_model="text-embedding-9")),
    "not an embedding server": ("model", lambda i: i.openai.fail("page")),
    "another dimension": ("dimension", lambda i: setattr(i.openai.switches, "dimension", 64)),
    "no index": ("index", many_vectors),
    "batches that are too large": ("batch-size", lambda i: i.failed_run("embeddings_run", "Too large.", TOO_LARGE)),
    "stuck chunks": ("stuck", lambda i: i.sql(STUCK)),
    "refused chunks": ("refused", lambda i: i.sql(REFUSED)),
    "a failed run": ("last-run", lambda i: i.failed_run("embeddings_run", "It broke.")),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_runbook_names_the_cause(installation: Installation, fault: str):
    cause, plant = FAULTS[fault]
    plant(installation)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == cause, result
    assert result.verdict == "problem" and result.fixes


async def test_failed_chunks_are_counted_by_error(installation: Installation):
    installation.sql(REFUSED)
    result = await installation.run(SLUG)
    [chunks] = [c.observed for c in result.checks if c.id == "refused"]
    assert chunks.startswith(f"{installation.rows('SELECT count(*) FROM rag_chunks')[0][0]} × Invalid input[")


async def test_rejected_batches_suggest_a_size_of_twenty(installation: Installation):
    installation.failed_run("embeddings_run", "Too large.", TOO_LARGE)
    result = await installation.run(SLUG)
    assert "EMBED_BATCH_SIZE=20" in result.fixes[0].label


async def test_pending_chunks_are_only_a_warning(installation: Installation):
    installation.sql("UPDATE rag_chunks SET embedding_status = 'pending'")
    result = await installation.run(SLUG)
    assert result.verdict == "ok"
    assert [(c.id, c.status) for c in result.checks if c.status != "ok"] == [("waiting", "warn")]
