"""Each way in which search stays empty is planted, and named."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from proofdesk.projects import sources
from tests.runbooks.house import House, many_vectors

SLUG = "search-returns-no-results"
BUSY = (
    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status)"
    " VALUES (%(project)s, %(account_scope)s, 'chatwoot_sync', 'manual', 'queued')"
)
EMPTY = "DELETE FROM cw_conversations"
OTHER = "UPDATE rag_chunks SET embedding_model = 'openai:older'"
TOO_LARGE = '{"batch_size": 100, "upstream": {"service": "openai", "status": 400}}'

FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "no project": ("project", lambda h: setattr(h, "inside", False)),
    "a first sync that is not over": ("sync", lambda h: (h.sql(EMPTY), h.sql(BUSY))),
    "a failed sync": ("sync", lambda h: h.failed_run("chatwoot_sync", "Chatwoot answered 500")),
    "nothing imported": ("messages", lambda h: h.sql(EMPTY)),
    "nothing indexed": ("words", lambda h: h.sql("UPDATE cw_conversations SET indexed_version = 0")),
    "no key": ("provider", lambda h: h.set(openai_api_key=None, openai_base_url=None, embedding_provider="openai")),
    "a wrong key": ("provider-answers", lambda h: h.set(openai_api_key=SecretStr("sk-wrong"))),
    "no quota": ("provider-answers", lambda h: h.openai.fail("insufficient_quota")),
    "batches that are too large": ("batch-size", lambda h: h.failed_run("embeddings_run", "Too large.", TOO_LARGE)),
    "a failed embeddings run": ("embeddings-run", lambda h: h.failed_run("embeddings_run", "It broke.")),
    "pending chunks": ("chunks", lambda h: h.sql("UPDATE rag_chunks SET embedding_status = 'pending'")),
    "vectors of another model": ("model", lambda h: (h.sql(OTHER), h.sql("DELETE FROM rag_models"))),
    "no index": ("index", many_vectors),
    "lost words": ("probe", lambda h: (h.sql("TRUNCATE search_postings"), h.sql("DELETE FROM rag_vectors"))),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(house: House, fault: str):
    cause, plant = FAULTS[fault]
    plant(house)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_what_is_missing_is_proposed_in_order(house: House):
    house.sql(EMPTY)
    found = await house.look(SLUG)
    assert (found.fixes[0].path, found.fixes[0].command) == ("/jobs/chatwoot/sync", "proofdesk sync")
    for source in await sources.list_sources(house.db, house.scope):
        await sources.unbind(house.db, house.scope, source.id)
    found = await house.look(SLUG)
    assert [f.path for f in found.fixes[:2]] == ["/projects/{id}/sources", "/jobs/chatwoot/sync"]
    house.sql("DELETE FROM worker_runs")


async def test_a_bad_key_says_so_in_a_sentence(house: House):
    house.set(openai_api_key=SecretStr("sk-wrong"))
    found = await house.look(SLUG)
    assert found.cause is not None
    assert found.cause.message == "The embedding provider rejects OPENAI_API_KEY."
