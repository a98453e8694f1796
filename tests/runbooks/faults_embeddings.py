"""Faults that cause failed embeddings, each with the check that names it."""

from collections.abc import Callable
from typing import Any

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
