"""Each way in which a sync fails is planted, and named."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from proofdesk.audit.events import system_actor
from proofdesk.projects import sources
from proofdesk_simulators.chatwoot.foundation import add_agent
from tests.runbooks.house import House
from tests.support.projects import new_project

SLUG = "chatwoot-sync-fails"
UPSTREAM = '{"upstream": {"service": "chatwoot", "method": "GET", "endpoint": "/api/v1/accounts/1/x", "status": 500}}'


FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "no address": ("base-url", lambda h: h.set(chatwoot_base_url=None)),
    "an address without scheme": ("base-url", lambda h: h.set(chatwoot_base_url="chat.example.com")),
    "no token": ("api-token", lambda h: h.set(chatwoot_api_token=None)),
    "nobody there": ("reachable", lambda h: h.set(chatwoot_base_url="http://127.0.0.1:9")),
    "not Chatwoot": ("reachable", lambda h: h.set(chatwoot_base_url=h.settings["openai_base_url"])),
    "out of order": ("reachable", lambda h: h.chatwoot.faults.add("502")),
    "throttled": ("token", lambda h: h.chatwoot.faults.add("429", path="*/profile")),
    "a wrong token": ("token", lambda h: h.set(chatwoot_api_token=SecretStr("wrong"))),
    "an account that is not there": (
        "account",
        lambda h: h.sql("UPDATE project_sources SET account_id = 77, external_id = '77'"),
    ),
    "a failed run": ("last-run", lambda h: h.failed_run("chatwoot_sync", "Chatwoot answered 500", UPSTREAM)),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(house: House, fault: str):
    cause, plant = FAULTS[fault]
    plant(house)
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_no_account_and_no_source(house: House):
    house.set(chatwoot_account_id=None)
    house.sql("DELETE FROM project_sources")
    assert await _cause(house) == "account-id"


async def test_an_agents_token(house: House):
    installation = house.chatwoot.installation
    agent = installation.users.get(50) or add_agent(installation, installation.accounts[1], 50, "Ann", "ann@x.example")
    house.set(chatwoot_api_token=SecretStr(agent.token))
    assert await _cause(house) == "role"


async def test_a_proxy_that_drops_the_header(house: House, drop_header: Callable[[], None]):
    drop_header()
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == "header"
    assert "Api-Access-Token" in found.fixes[0].label


async def test_a_bots_token(house: House):
    house.chatwoot.faults.add("401_bot", path="*/profile")
    found = await house.look(SLUG)
    assert found.cause is not None and (found.cause.check, "bot" in found.cause.message) == ("token", True)


async def test_a_source_that_another_project_has(house: House):
    for source in await sources.list_sources(house.db, house.scope):
        await sources.unbind(house.db, house.scope, source.id)
    other = await new_project(house.db, "Other", system_actor())
    await sources.bind(house.db, other, "chatwoot_account", "1")
    assert await _cause(house) == "source"


async def test_sources_that_were_let_go(house: House):
    for source in await sources.list_sources(house.db, house.scope):
        await sources.unbind(house.db, house.scope, source.id)
    found = await house.look(SLUG)
    assert found.cause is not None and (found.cause.check, "any more" in found.cause.message) == ("source", True)


async def test_an_inbox_that_is_gone(house: House):
    await sources.bind(house.db, house.scope, "chatwoot_inbox", "1:999")
    found = await house.look(SLUG)
    assert found.cause is not None and found.cause.check == "inboxes"
    assert "1:999" in next(c.observed for c in found.checks if c.id == "inboxes")


async def test_a_failed_run_tells_what_was_asked(house: House):
    house.failed_run("chatwoot_reconcile", "Chatwoot answered 500", UPSTREAM)
    found = await house.look(SLUG)
    assert "GET /api/v1/accounts/1/x 500" in next(c.observed for c in found.checks if c.id == "last-run")


async def _cause(house: House) -> str | None:
    found = await house.look(SLUG)
    return found.cause.check if found.cause else None
