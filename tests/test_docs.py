"""The documentation is correct: links have targets, variables and tables exist, generated pages are current."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proofdesk.settings import Settings
from tests.support.databases import copy_database

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
VARIABLE = re.compile(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`")
OTHER_VARIABLES = {
    "PROOFDESK_CORPUS_DIR",  # read by tests and the evaluation only
    "PROOFDESK_CHATWOOT_SAMPLES",
    "SITE_ADDRESS",  # read by compose.yaml
    "POSTGRES_PASSWORD",
    "SSL_CERT_FILE",  # read by OpenSSL
}


def page_name(path: Path) -> str:
    """Return the path of a page below the repository, as a test id."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_of_a_page_have_targets(page: Path):
    targets = [t for t in LINK.findall(page.read_text("utf-8")) if not t.startswith(("http:", "https:", "mailto:"))]
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_variables_of_a_page_exist(page: Path):
    settings = {n.upper() for n in Settings.model_fields} | OTHER_VARIABLES
    assert set(VARIABLE.findall(page.read_text("utf-8"))) - settings == set()


def test_generated_pages_are_current():
    process = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_architecture_page_lists_every_table():
    sql = "".join(p.read_text("utf-8") for p in (ROOT / "src" / "proofdesk" / "database" / "migrations").glob("*.sql"))
    architecture = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    tables = set(re.findall(r"CREATE TABLE (\w+)", sql)) - set(re.findall(r"DROP TABLE (\w+)", sql))
    assert [table for table in sorted(tables) if f"`{table}`" not in architecture] == []


def test_the_index_links_to_every_page():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    links = index + decisions
    assert [page_name(p) for p in PAGES if p.parent != ROOT and p.name not in links and p.name != "index.md"] == []


def test_generated_schema_is_current(server_url: str, worker_id: str):
    url = copy_database(server_url, f"schema_{worker_id}")
    command = [sys.executable, "scripts/schema.py", "--check", "--url", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
