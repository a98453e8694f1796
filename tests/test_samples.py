"""Every code sample of the documentation is run by a test, or says why it is not."""

import re
import textwrap

import pytest
import yaml

from proofdesk.http.web import layout
from tests.support import samples

RUN_BY = {
    "docs/tutorial.md": "tests/cli/test_tutorial.py",
    "docs/reference/api.md": "tests/http/api/test_examples.py",
    "docs/operations.md": "tests/deploy/test_backup.py",
    "docs/audit.md": "tests/audit/test_chain.py",
    "docs/monitoring.md": "tests/test_samples.py",
    "docs/web.md": "tests/test_samples.py",
}
KNOWN = {"json", "sh", "python", "sql", "yaml", "jinja"}


def test_every_sample_is_run_or_says_why_not():
    found = list(samples.all_samples())
    assert len(found) > 30
    assert {sample.language for sample in found} <= KNOWN
    assert [s for s in found if s.why is None and s.page not in RUN_BY] == []
    assert [s for s in found if s.why is not None and len(s.why) < 10] == []


@pytest.mark.parametrize(("page", "test"), RUN_BY.items())
def test_the_test_that_runs_the_samples_of_a_page_takes_them_from_there(page: str, test: str):
    assert samples.runnable_samples(page) != []
    assert f'samples.runnable_samples("{page}")' in (samples.ROOT / test).read_text("utf-8")


def test_a_test_that_a_reason_names_is_there():
    named = [name for s in samples.all_samples() for name in re.findall(r"\b(?:tests|docs)/[\w/.]*\w", s.why or "")]
    assert len(named) >= 5
    assert [name for name in named if not (samples.ROOT / name).exists()] == []


def test_the_alerts_are_what_prometheus_reads():
    scrape, rules = map(yaml.safe_load, samples.runnable_samples("docs/monitoring.md"))
    assert scrape["scrape_configs"][0]["static_configs"][0]["targets"]
    assert all({"alert", "expr", "annotations"} <= set(rule) for rule in rules["groups"][0]["rules"])


def test_the_page_of_the_guide_is_a_template_that_can_be_rendered():
    (page,) = samples.runnable_samples("docs/web.md")
    layout._templates().from_string(textwrap.dedent(page))
