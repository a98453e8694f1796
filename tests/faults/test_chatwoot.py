"""When Chatwoot fails, people see the cause and what to do, and the next run completes."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from proofdesk.audit import events
from proofdesk.projects import scope, sources
from tests.faults.desk import SYNC, FaultDesk

INBOXES = "/api/v1/accounts/1/inboxes"
LATER = "Nothing is lost: the next run continues here."


@dataclass
class Fault:
    """A fault of the simulator, and the error that people see."""

    kind: str | None
    status: int | None
    error_parts: tuple[str, ...]
    retried: bool = True
    request_id: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    worker: dict[str, Any] = field(default_factory=dict)


PROXY = "A proxy may have answered in its place; check CHATWOOT_BASE_URL."
HTML = "an HTML page, probably from a proxy in front of Chatwoot"
ADMINISTRATOR = "make its user an administrator of account 1"
FAULTS = {
    "down": Fault(
        None,
        None,
        ("cannot be reached", "CHATWOOT_BASE_URL", LATER),
        request_id=False,
        worker={"down": True},
    ),
    "a missing token": Fault("401_no_token", 401, ("401", "CHATWOOT_API_TOKEN is not valid there"), retried=False),
    "bad token": Fault("401_unknown_token", 401, ("Invalid Access Token", "CHATWOOT_API_TOKEN is not"), retried=False),
    "not a member": Fault("401_not_member", 401, ("The token is valid", ADMINISTRATOR), retried=False),
    "suspended": Fault("401_suspended", 401, ("Account is suspended", "The token is valid"), retried=False),
    "a bot": Fault("401_bot", 401, ("not authorized for bots", ADMINISTRATOR), retried=False),
    "no account": Fault("404", 404, ("404", "CHATWOOT_ACCOUNT_ID"), retried=False),
    "throttled": Fault("429", 429, ("Retry later", "CHATWOOT_CONCURRENCY", LATER)),
    "throttled for long": Fault(
        "429", 429, ("wait for 600 seconds", LATER), retried=False, options={"retry_after": 600}
    ),
    "throttled, with a time": Fault("429", 429, ("throttling", LATER), options={"retry_after": 0}),
    "failing": Fault("500", 500, ("Internal Server Error", "look at its log", LATER)),
    "a proxy's page": Fault("502", 502, (HTML, "look at its log", LATER)),
    "malformed JSON": Fault("200_garbled", 200, ("something that is not JSON", PROXY)),
    "a login page": Fault("200_page", 200, (HTML, PROXY), retried=False),
    "a challenge": Fault("403_challenge", 403, (HTML, "a challenge of its own"), retried=False),
    "a login of a proxy": Fault("401_basic", 401, (HTML, "a login or a challenge"), retried=False),
    "a redirect to a login": Fault("302_login", 302, (HTML, "does not redirect"), retried=False),
    "JSON of something else": Fault("200_strange", 200, ("JSON that is not Chatwoot's", PROXY), retried=False),
    "half a page": Fault("half", 200, ("connection broke", LATER)),
    "cut": Fault("cut", 200, ("connection broke", LATER)),
    "a page that never ends": Fault(
        "trickle", 200, ("within 2 seconds", "CHATWOOT_TIMEOUT_SECONDS", LATER), worker={"response_timeout": 2}
    ),
    "no answer": Fault(
        "delay",
        None,
        ("within 0.4 seconds", LATER),
        request_id=False,
        options={"delay": 3.0},
        worker={"response_timeout": 0.4},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_chatwoot_fault_is_explained_and_next_run_completes(desk: FaultDesk, name: str):
    fault = FAULTS[name]
    if fault.kind:
        desk.chatwoot.faults.add(fault.kind, path="*/inboxes", **fault.options)
    report = await desk.run_failing(SYNC, **fault.worker)
    assert (report.response.status_code, report.response.json()["error"]) == (502, "chatwoot_sync_failed")
    assert [part for part in fault.error_parts if part not in report.run["error"]] == [], report.run["error"]
    assert report.agrees()
    upstream = report.details["upstream"]
    assert {**upstream, "request_id": None} == {
        "service": "chatwoot",
        "method": "GET",
        "endpoint": INBOXES,
        "status": fault.status,
        "request_id": None,
    }
    assert bool(upstream["request_id"]) == fault.request_id
    assert (report.details["account_id"], report.details["inbox_id"]) == (1, None)
    if fault.kind:
        assert (desk.chatwoot.journal.count(path="*/inboxes") > 1) == fault.retried
    await desk.run_repaired(SYNC)


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
async def test_fault_in_the_middle_keeps_what_was_read(desk: FaultDesk, kind: str, path: str):
    """A page that is not Chatwoot's is neither the end of a list nor a deleted conversation."""
    desk.chatwoot.faults.add(kind, path=path, skip=1 if path == "*/messages" else 0)
    report = await desk.run_failing(SYNC)
    assert report.response.status_code == 502 and report.agrees()
    assert path.strip("*") in report.details["upstream"]["endpoint"]
    await desk.run_repaired(SYNC)


async def test_list_that_repeats_its_pages_ends_the_run(desk: FaultDesk):
    desk.chatwoot.switches.drop_queries = True
    report = await desk.run_failing(SYNC)
    assert "the same items on every page" in report.run["error"] and "after `?`" in report.run["error"]
    assert report.response.status_code == 502 and report.agrees()
    desk.chatwoot.switches.drop_queries = False
    await desk.run_repaired(SYNC)


async def test_missing_inbox_is_a_binding_error(desk: FaultDesk):
    assert desk.cast.member.project_id is not None
    project = await scope.enter(desk.db, events.system_actor(), desk.cast.member.project_id)
    source = await sources.bind(desk.db, project, "chatwoot_inbox", "1:77")
    report = await desk.run_failing(SYNC)
    assert (report.response.status_code, report.response.json()["error"]) == (409, "chatwoot_source_binding_error")
    assert "1:77" in report.run["error"] and "administrator" in report.run["error"] and report.agrees()
    assert report.details["upstream"]["endpoint"] == INBOXES and report.details["upstream"]["request_id"]
    assert (report.details["account_id"], report.details["inbox_id"]) == (1, 77)
    await sources.unbind(desk.db, project, source.id)
    await sources.bind(desk.db, project, "chatwoot_account", "1")
    await desk.run_repaired(SYNC)
