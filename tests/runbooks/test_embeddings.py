"""The runbook names each cause of failed embeddings."""

from tests.runbooks.faults_embeddings import REFUSED, SLUG, TOO_LARGE
from tests.runbooks.installation import Installation


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
