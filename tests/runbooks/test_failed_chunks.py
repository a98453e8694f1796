"""A chunk that the provider rejects is named, and can be tried again or skipped, from the API, a page and a command."""

import pytest

from proofdesk.accounts import signup
from proofdesk.accounts.signup import PinExpired, SignupApplication, SignupConfirmation
from proofdesk.errors import Invalid
from proofdesk.indexing import failed_chunks, vectors
from proofdesk.indexing.failed_chunks import FailedChunkNotFound
from tests.runbooks import walk
from tests.runbooks.installation import Installation

SLUG = "embeddings-fail"
POISON = (
    "UPDATE rag_chunks SET embedding_status = 'failed', error = 'Invalid input.'"
    " WHERE message_id = (SELECT min(message_id) FROM rag_chunks)"
)


@pytest.fixture
async def poisoned(installation: Installation) -> Installation:
    """Return the installation with a failed chunk."""
    installation.sql(POISON)
    return installation


async def test_a_poison_chunk_is_named_and_can_be_skipped(poisoned: Installation):
    [chunk] = await failed_chunks.list_failed(poisoned.db, poisoned.scope)
    result = await poisoned.run(SLUG)
    [check] = [c for c in result.checks if c.id == "refused"]
    assert result.cause is not None and result.cause.check == "refused"
    assert chunk.id in check.observed and chunk.message_global_id in check.observed
    await failed_chunks.skip(poisoned.db, poisoned.scope, chunk.id)
    assert (await poisoned.run(SLUG)).cause is None
    assert await vectors.retry_failed(poisoned.db, poisoned.scope) == 0
    await failed_chunks.retry(poisoned.db, poisoned.scope, chunk.id)
    assert await failed_chunks.list_failed(poisoned.db, poisoned.scope) == []
    assert poisoned.rows("SELECT count(*) FROM rag_chunks WHERE embedding_status = 'pending'") == [(1,)]


async def test_other_chunks_cannot_be_skipped(poisoned: Installation):
    [chunk] = await failed_chunks.list_failed(poisoned.db, poisoned.scope)
    for act in (failed_chunks.skip, failed_chunks.retry):
        with pytest.raises(FailedChunkNotFound):
            await act(poisoned.db, poisoned.scope, chunk.message_global_id + "#77")
        for wrong in (chunk.message_global_id, "x#0", f"{chunk.message_global_id}#-1"):
            with pytest.raises(Invalid):
                await act(poisoned.db, poisoned.scope, wrong)


async def test_the_api_and_the_page_show_failed_chunks(poisoned: Installation):
    async with walk.begun(poisoned) as w:
        poisoned.sql(POISON)
        [chunk] = (await w.get("/jobs/embeddings/failed"))["chunks"]
        page = await w.page("/jobs/embeddings/failed")
        assert f"/messages/{chunk['message_global_id']}/thread" in page and "Skip chunk" in page
        assert (await w.post("/jobs/embeddings/failed/skip", chunk_id=chunk["id"]))["ok"]
        [skipped] = (await w.get("/jobs/embeddings/failed"))["chunks"]
        assert skipped["skipped_at"] and "Skip chunk" not in await w.page("/jobs/embeddings/failed")
        assert (await w.post("/jobs/embeddings/failed/retry", chunk_id=chunk["id"]))["ok"]
        assert (await w.post("/jobs/embeddings/failed/skip", chunk_id=chunk["id"]))["error"] == "failed_chunk_not_found"


async def test_a_changed_pin_secret_is_no_wrong_pin(installation: Installation):
    installation.telegram.person(4711)
    application = SignupApplication("newcomer", "a long enough password", "192.0.2.9")
    async with installation.context() as context:
        started = await signup.start(context.resources.db, context.settings, context.resources.bot, application)
    installation.set(signup_pin_secret="another secret, for the next PINs")
    result = await installation.run("signup-disabled")
    assert result.cause is not None and result.cause.check == "pin-secret"
    async with installation.context() as context:
        confirmation = SignupConfirmation(str(started.signup_request_id), "123456", "192.0.2.9")
        with pytest.raises(PinExpired, match="SIGNUP_PIN_SECRET has changed"):
            await signup.confirm(context.resources.db, context.settings, confirmation)
