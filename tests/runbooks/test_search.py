"""The runbook names each cause of a search without results."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from proofdesk.projects import sources
from tests.runbooks.installation import Installation, many_vectors

SLUG = "search-returns-no-results"
BUSY = (
    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status)"
    " VALUES (%(project)s, %(account_scope)s, 'chatwoot_sync', 'manual', 'queued')"
)
EMPTY = "DELETE FROM cw_conversations"
OTHER = "UPDATE rag_chunks SET embedding_model = 'openai:older'"
TOO_LARGE = '{"batch_size": 100, "upstream": {"service": "openai", "status": 400}}'

FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no project": ("project", lambda i: setattr(i, "in_project", False)),
    "a first sync that is not over": ("sync", lambda i: (i.sql(EMPTY), i.sql(BUSY))),
    "a failed sync": ("sync", lambda i: i.failed_run("chatwoot_sync", "Chatwoot answered 500")),
    "nothing imported": ("messages", lambda i: i.sql(EMPTY)),
    "nothing indexed": ("words", lambda i: i.sql("UPDATE cw_conversations SET indexed_version = 0")),
    "no key": ("provider", lambda i: i.set(openai_api_key=None, openai_base_url=None, embedding_provider="openai")),
    "a wrong key": ("provider-answers", lambda i: i.set(openai_api_key=SecretStr("sk-wrong"))),
    "no quota": ("provider-answers", lambda i: i.openai.fail("insufficient_quota")),
    "batches that are too large": ("batch-size", lambda i: i.failed_run("embeddings_run", "Too large.", TOO_LARGE)),
    "a failed embeddings run": ("embeddings-run", lambda i: i.failed_run("embeddings_run", "It broke.")),
    "pending chunks": ("chunks", lambda i: i.sql("UPDATE rag_chunks SET embedding_status = 'pending'")),
    "vectors of another model": ("model", lambda i: (i.sql(OTHER), i.sql("DELETE FROM rag_models"))),
    "no index": ("index", many_vectors),
    "lost words": ("probe", lambda i: (i.sql("TRUNCATE search_postings"), i.sql("DELETE FROM rag_vectors"))),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_runbook_names_the_cause(installation: Installation, fault: str):
    cause, plant = FAULTS[fault]
    plant(installation)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == cause, result
    assert result.verdict == "problem" and result.fixes


async def test_fixes_for_missing_messages_are_ordered(installation: Installation):
    installation.sql(EMPTY)
    result = await installation.run(SLUG)
    assert (result.fixes[0].path, result.fixes[0].command) == ("/jobs/chatwoot/sync", "proofdesk sync")
    for source in await sources.list_sources(installation.db, installation.scope):
        await sources.unbind(installation.db, installation.scope, source.id)
    result = await installation.run(SLUG)
    assert [f.path for f in result.fixes[:1]] == ["/projects/{id}/sources"]
    installation.sql("DELETE FROM worker_runs")


async def test_a_wrong_key_has_a_clear_message(installation: Installation):
    installation.set(openai_api_key=SecretStr("sk-wrong"))
    result = await installation.run(SLUG)
    assert result.cause is not None
    assert result.cause.message == "The embedding provider rejects OPENAI_API_KEY."
