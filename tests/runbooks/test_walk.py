"""Every line of the operators' page is true: each has a proof in `walk_jobs` or `walk_people`.

A line without a proof fails the test. If the page is not next to the repository, the proofs still run.
"""

import asyncio
import re
import traceback
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from proofdesk.http.app import JSON_ROUTERS
from proofdesk.runbooks import registry
from tests.runbooks import walk, walk_jobs, walk_people
from tests.runbooks.installation import Installation
from tests.runbooks.walk import PROOFS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT.parent / "shared" / "RUNBOOKS.md"
OURS = ROOT / "docs" / "runbooks.md"
TITLES = {
    "Search returns no results": "search-returns-no-results",
    "Chatwoot sync job fails": "chatwoot-sync-fails",
    "Auth loop / unauthorized": "auth-loop",
    "Scheduler tick / worker jobs failing": "scheduler-worker-failing",
    "Embeddings job fails": "embeddings-fail",
    "Signup disabled / PIN flow unavailable": "signup-disabled",
    "Outbound delivery blocked or failing": "outbound-blocked",
}
MORE = {"Database and disk": "database-and-disk", "Commitments are missing or wrong": "commitments-wrong"}
"""Runbooks that the page does not have."""
PARTS = ("Symptom", "Impact", "Checks", "Fix", "Evidence to capture")
PROVED_BY = (walk_jobs, walk_people)


def lines() -> list[str]:
    """Return the lines of the page without its introduction, headings and rules."""
    text = re.sub(r"<!--.*?-->", "", PAGE.read_text("utf-8"), flags=re.DOTALL)
    stripped = [line.strip() for line in text.partition("\n---\n")[2].splitlines()]
    return [line for line in stripped if line and line != "---" and not re.fullmatch(r"#+ .*|\*\*.*\*\*", line)]


async def test_every_line_of_the_page_is_true(installation: Installation):
    failed: dict[str, str] = {}
    async with walk.begun(installation) as w:
        for proof in dict.fromkeys(proof for proofs in PROOFS.values() for proof in proofs):
            try:
                async with asyncio.timeout(25):
                    await proof(w)
            except Exception as error:
                failed[proof.__name__] = "".join(traceback.format_exception(error)[-2:])
    assert failed == {}, "\n".join(failed.values())


def test_every_line_of_the_page_has_a_proof():
    if not PAGE.exists():
        pytest.skip("the page is not here")
    assert [line for line in lines() if line not in PROOFS] == []
    assert [line for line in PROOFS if line not in lines()] == []
    assert re.findall(r"## Runbook: (.+)", PAGE.read_text("utf-8")) == list(TITLES)


def test_every_incident_of_the_page_is_a_runbook():
    assert {r.title: r.slug for r in registry.list_runbooks()} == TITLES | MORE


def test_every_section_of_the_docs_has_the_same_structure():
    sections = OURS.read_text("utf-8").split("\n## ")[1:]
    assert [s.splitlines()[0] for s in sections] == [r.title for r in registry.list_runbooks()]
    for section in sections:
        places = [re.search(rf"\*\*{part}\.?\*\*", section) for part in PARTS]
        assert all(places) and [p.start() for p in places if p] == sorted(p.start() for p in places if p)


def test_every_route_in_a_fix_exists():
    there = {
        (method, re.sub(r"\{[^}]+\}", "[^/]+", route.path.removeprefix("/v1")))
        for router in JSON_ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    wanted = {(f.method, f.path) for r in registry.list_runbooks() for c in r.checks for f in [c.fix] if f.path}
    assert {(m, p) for m, p in wanted if not any(m == n and re.fullmatch(q, p) for n, q in there)} == set()
