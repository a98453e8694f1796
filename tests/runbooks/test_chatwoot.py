"""The runbook names each cause of a failed sync."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from proofdesk.audit.events import system_actor
from proofdesk.projects import sources
from proofdesk_simulators.chatwoot.foundation import add_agent
from tests.runbooks.faults_chatwoot import SLUG, UPSTREAM
from tests.runbooks.installation import Installation
from tests.support.projects import new_project


async def test_a_missing_account_is_the_cause(installation: Installation):
    installation.set(chatwoot_account_id=None)
    installation.sql("DELETE FROM project_sources")
    assert await _cause(installation) == "account-id"


async def test_the_token_of_an_agent_is_the_cause(installation: Installation):
    simulated = installation.chatwoot.installation
    agent = simulated.users.get(50) or add_agent(simulated, simulated.accounts[1], 50, "Ann", "ann@x.example")
    installation.set(chatwoot_api_token=SecretStr(agent.token))
    assert await _cause(installation) == "role"


async def test_a_dropped_token_header_is_the_cause(installation: Installation, drop_header: Callable[[], None]):
    drop_header()
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "header"
    assert "Api-Access-Token" in result.fixes[0].label


async def test_the_token_of_a_bot_is_the_cause(installation: Installation):
    installation.chatwoot.faults.add("401_bot", path="*/profile")
    result = await installation.run(SLUG)
    assert result.cause is not None and (result.cause.check, "bot" in result.cause.message) == ("token", True)


async def test_a_source_of_another_project_is_the_cause(installation: Installation):
    for source in await sources.list_sources(installation.db, installation.scope):
        await sources.unbind(installation.db, installation.scope, source.id)
    other = await new_project(installation.db, "Other", system_actor())
    await sources.bind(installation.db, other, "chatwoot_account", "1")
    assert await _cause(installation) == "source"


async def test_unbound_sources_are_the_cause(installation: Installation):
    for source in await sources.list_sources(installation.db, installation.scope):
        await sources.unbind(installation.db, installation.scope, source.id)
    result = await installation.run(SLUG)
    assert result.cause is not None and (result.cause.check, "no source" in result.cause.message) == ("source", True)


async def test_a_missing_inbox_is_the_cause(installation: Installation):
    await sources.bind(installation.db, installation.scope, "chatwoot_inbox", "1:999")
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "inboxes"
    assert "1:999" in next(c.observed for c in result.checks if c.id == "inboxes")


async def test_a_failed_run_shows_its_request(installation: Installation):
    installation.failed_run("chatwoot_reconcile", "Chatwoot answered 500", UPSTREAM)
    result = await installation.run(SLUG)
    assert "GET /api/v1/accounts/1/x 500" in next(c.observed for c in result.checks if c.id == "last-run")


async def _cause(installation: Installation) -> str | None:
    result = await installation.run(SLUG)
    return result.cause.check if result.cause else None


CAUSES = {
    ("402", "*/conversations"): "payment (402)",
    ("429", "*/conversations"): "throttles Proofdesk (429)",
    ("401_suspended", "*/conversations"): "suspended",
    ("200_page", "*"): "An HTML page, probably from a proxy,",
    ("401_basic", "*/profile"): "It asks for a login.",
    ("502", "*"): "fails",
}


@pytest.mark.parametrize(("fault", "path"), CAUSES)
async def test_the_cause_says_what_chatwoot_answered(installation: Installation, fault: str, path: str):
    installation.chatwoot.faults.add(fault, path=path)
    result = await installation.run(SLUG)
    assert result.cause is not None and CAUSES[fault, path] in result.cause.message
    states = {check.id: check.status for check in result.checks}
    if path != "*/conversations":
        assert states["header"] == "skip" and states["role"] == states["access"] == "skip"


async def test_a_slow_but_working_chatwoot_is_no_finding(installation: Installation):
    installation.chatwoot.faults.add("delay", delay=0.3)
    assert (await installation.run(SLUG)).verdict == "ok"


async def test_a_token_that_sees_less_than_is_stored_is_noted(installation: Installation):
    installation.sql(
        "INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, status,"
        " labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at)"
        " SELECT project_id, account_scope_id, account_id, conversation_id + 1000 * n, inbox_id, status, labels,"
        " additional_attributes, custom_attributes, last_activity_at, created_at, updated_at"
        " FROM cw_conversations, generate_series(1, 5) n"
    )
    result = await installation.run(SLUG)
    [check] = [c for c in result.checks if c.id == "visibility"]
    assert check.status == "warn" and "sees 3 conversations of account 1, 12 are stored" in check.observed
