"""Chatwoot fails: what people are told, and what the next run makes of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from proofdesk.audit import events
from proofdesk.projects import scope, sources
from tests.faults.desk import SYNC, Desk

INBOXES = "/api/v1/accounts/1/inboxes"
LATER = "Nothing is lost: the next run continues here."


@dataclass
class Fault:
    """What is done to Chatwoot, and what is to be heard of it."""

    kind: str | None
    status: int | None
    says: tuple[str, ...]
    retried: bool = True
    numbered: bool = True
    adds: dict[str, Any] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict)


PROXY = "A proxy may have answered in its place; check CHATWOOT_BASE_URL."
HTML = "an HTML page, probably from a proxy in front of Chatwoot"
ADMINISTRATOR = "make its user an administrator of account 1"
FAULTS = {
    "down": Fault(None, None, ("cannot be reached", "CHATWOOT_BASE_URL", LATER), numbered=False, how={"down": True}),
    "no token": Fault("401_no_token", 401, ("401", "CHATWOOT_API_TOKEN is not valid there"), retried=False),
    "bad token": Fault("401_unknown_token", 401, ("Invalid Access Token", "CHATWOOT_API_TOKEN is not"), retried=False),
    "not a member": Fault("401_not_member", 401, ("The token is valid", ADMINISTRATOR), retried=False),
    "suspended": Fault("401_suspended", 401, ("Account is suspended", "The token is valid"), retried=False),
    "a bot": Fault("401_bot", 401, ("not authorized for bots", ADMINISTRATOR), retried=False),
    "no account": Fault("404", 404, ("404", "CHATWOOT_ACCOUNT_ID"), retried=False),
    "throttled": Fault("429", 429, ("Retry later", "CHATWOOT_CONCURRENCY", LATER)),
    "throttled for long": Fault("429", 429, ("wait for 600 seconds", LATER), retried=False, adds={"retry_after": 600}),
    "throttled, with a time": Fault("429", 429, ("throttling", LATER), adds={"retry_after": 0}),
    "out of order": Fault("500", 500, ("Internal Server Error", "look at its log", LATER)),
    "a proxy's page": Fault("502", 502, (HTML, "look at its log", LATER)),
    "malformed JSON": Fault("200_garbled", 200, ("something that is not JSON", PROXY)),
    "a page to sign in": Fault("200_page", 200, (HTML, PROXY)),
    "a challenge": Fault("403_challenge", 403, (HTML, "a challenge of its own"), retried=False),
    "a login of a proxy": Fault("401_basic", 401, (HTML, "a login or a challenge"), retried=False),
    "a way to a login": Fault("302_login", 302, (HTML, "does not redirect"), retried=False),
    "JSON of something else": Fault("200_strange", 200, ("JSON that is not Chatwoot's", PROXY), retried=False),
    "half a page": Fault("half", 200, ("connection broke", LATER)),
    "cut": Fault("cut", 200, ("connection broke", LATER)),
    "a page that never ends": Fault(
        "trickle", 200, ("within 1.5 seconds", "CHATWOOT_TIMEOUT_SECONDS", LATER), how={"seconds": 1.5, "patience": 1.6}
    ),
    "no answer": Fault(
        "delay",
        None,
        ("within 0.4 seconds", LATER),
        numbered=False,
        adds={"delay": 3.0},
        how={"seconds": 0.4, "patience": 0.6},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_of_chatwoot_says_what_to_do_and_the_next_run_ends_with_everything(desk: Desk, name: str):
    fault = FAULTS[name]
    if fault.kind:
        desk.chatwoot.faults.add(fault.kind, path="*/inboxes", **fault.adds)
    shown = await desk.fails(SYNC, **fault.how)
    assert (shown.answer.status_code, shown.answer.json()["error"]) == (502, "chatwoot_sync_failed")
    assert [part for part in fault.says if part not in shown.run["error"]] == [], shown.run["error"]
    assert shown.agrees()
    upstream = shown.details["upstream"]
    assert {**upstream, "request_id": None} == {
        "service": "chatwoot",
        "method": "GET",
        "endpoint": INBOXES,
        "status": fault.status,
        "request_id": None,
    }
    assert bool(upstream["request_id"]) == fault.numbered
    assert (shown.details["account_id"], shown.details["inbox_id"]) == (1, None)
    if fault.kind:
        assert (desk.chatwoot.journal.count(path="*/inboxes") > 1) == fault.retried
    await desk.mends(SYNC)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("200_strange", "*/conversations"),
        ("404_page", "*/conversations"),
        ("half", "*/messages"),
        ("200_strange", "*/messages"),
        ("404_page", "*/messages"),
        ("200_strange", "*/contacts"),
    ],
)
async def test_a_fault_in_the_middle_leaves_what_was_read_and_takes_nothing_away(desk: Desk, kind: str, path: str):
    """A page that is not Chatwoot's is neither the end of a list nor a conversation that was deleted."""
    desk.chatwoot.faults.add(kind, path=path, skip=1 if path == "*/messages" else 0)
    shown = await desk.fails(SYNC)
    assert shown.answer.status_code == 502 and shown.agrees()
    assert path.strip("*") in shown.details["upstream"]["endpoint"]
    await desk.mends(SYNC)


async def test_a_list_that_goes_round_in_circles_is_left(desk: Desk):
    desk.chatwoot.switches.drop_queries = True
    shown = await desk.fails(SYNC)
    assert "the same items on every page" in shown.run["error"] and "after `?`" in shown.run["error"]
    assert shown.answer.status_code == 502 and shown.agrees()
    desk.chatwoot.switches.drop_queries = False
    await desk.mends(SYNC)


async def test_an_inbox_that_is_not_there_is_a_matter_of_the_binding(desk: Desk):
    assert desk.cast.member.project_id is not None
    inside = await scope.enter(desk.db, events.system_actor(), desk.cast.member.project_id)
    source = await sources.bind(desk.db, inside, "chatwoot_inbox", "1:77")
    shown = await desk.fails(SYNC)
    assert (shown.answer.status_code, shown.answer.json()["error"]) == (409, "chatwoot_source_binding_error")
    assert "1:77" in shown.run["error"] and "administrator" in shown.run["error"] and shown.agrees()
    assert shown.details["upstream"]["endpoint"] == INBOXES and shown.details["upstream"]["request_id"]
    assert (shown.details["account_id"], shown.details["inbox_id"]) == (1, 77)
    await sources.unbind(desk.db, inside, source.id)
    await sources.bind(desk.db, inside, "chatwoot_account", "1")
    await desk.mends(SYNC)
