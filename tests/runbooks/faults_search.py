"""Faults that cause a search without results, each with the check that names it."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

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
