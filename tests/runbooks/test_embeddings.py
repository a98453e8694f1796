"""Each way in which embeddings fail is planted, and named."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from tests.runbooks.house import House, many_vectors

SLUG = "embeddings-fail"
TOO_LARGE = '{"batch_size": 100, "upstream": {"service": "openai", "status": 400}}'
STUCK = "UPDATE rag_chunks SET embedding_status = 'processing', claimed_at = now() - interval '1 day'"
REFUSED = "UPDATE rag_chunks SET embedding_status = 'failed', error = 'Invalid input[' || message_id || '].'"

FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "no key": ("provider", lambda h: h.set(openai_api_key=None, openai_base_url=None, embedding_provider="openai")),
    "nobody there": ("reachable", lambda h: h.set(openai_base_url="http://127.0.0.1:9/v1")),
    "out of order": ("reachable", lambda h: h.openai.fail("unavailable")),
    "a wrong key": ("key", lambda h: h.set(openai_api_key=SecretStr("sk-wrong"))),
    "no quota": ("quota", lambda h: h.openai.fail("insufficient_quota")),
    "throttled": ("rate-limit", lambda h: h.openai.fail("rate_limit")),
    "no such model": ("model", lambda h: h.set(embedding_model="text-embedding-9")),
    "not an embedding server": ("model", lambda h: h.openai.fail("page")),
    "another dimension": ("dimension", lambda h: setattr(h.openai.switches, "dimension", 64)),
    "no index": ("index", many_vectors),
    "batches that are too large": ("batch-size", lambda h: h.failed_run("embeddings_run", "Too large.", TOO_LARGE)),
    "stuck chunks": ("stuck", lambda h: h.sql(STUCK)),
    "refused chunks": ("refused", lambda h: h.sql(REFUSED)),
    "a failed run": ("last-run", lambda h: h.failed_run("embeddings_run", "It broke.")),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(house: House, fault: str):
    cause, plant = FAULTS[fault]
    plant(house)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_refused_chunks_are_counted_by_reason(house: House):
    house.sql(REFUSED)
    found = await house.look(SLUG)
    [chunks] = [c.observed for c in found.checks if c.id == "refused"]
    assert chunks.startswith(f"{house.rows('SELECT count(*) FROM rag_chunks')[0][0]} × Invalid input[")


async def test_batches_that_are_too_large_get_twenty(house: House):
    house.failed_run("embeddings_run", "Too large.", TOO_LARGE)
    found = await house.look(SLUG)
    assert "EMBED_BATCH_SIZE=20" in found.fixes[0].label


async def test_chunks_that_merely_wait_are_no_fault(house: House):
    house.sql("UPDATE rag_chunks SET embedding_status = 'pending'")
    found = await house.look(SLUG)
    assert found.verdict == "ok"
    assert [(c.id, c.status) for c in found.checks if c.status != "ok"] == [("waiting", "warn")]
