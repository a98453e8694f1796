"""The runbook names each cause of a search without results."""

from pydantic import SecretStr

from proofdesk.projects import sources
from tests.runbooks.faults_search import EMPTY, SLUG
from tests.runbooks.installation import Installation


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
