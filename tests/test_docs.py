"""The documentation says what is there: links lead somewhere, variables and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from proofdesk.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
VARIABLE = re.compile(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)`")
FOREIGN = {
    "PROOFDESK_CORPUS_DIR",  # read by tests and the evaluation only
    "PROOFDESK_CHATWOOT_SAMPLES",
    "SITE_ADDRESS",  # read by compose.yaml
    "POSTGRES_PASSWORD",
    "SSL_CERT_FILE",  # read by OpenSSL
}


def page_name(path: Path) -> str:
    """The page as people say it."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_of_the_page_leads_to_a_file(page: Path):
    targets = [t for t in LINK.findall(page.read_text("utf-8")) if not t.startswith(("http:", "https:", "mailto:"))]
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_variable_of_the_page_exists(page: Path):
    known = {n.upper() for n in Settings.model_fields} | FOREIGN
    assert set(VARIABLE.findall(page.read_text("utf-8"))) - known == set()


def test_the_generated_pages_are_what_the_code_says():
    done = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_table_is_drawn_in_the_architecture():
    sql = "".join(p.read_text("utf-8") for p in (ROOT / "src" / "proofdesk" / "database" / "migrations").glob("*.sql"))
    drawn = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert [t for t in re.findall(r"CREATE TABLE (\w+)", sql) if f"`{t}`" not in drawn] == []


def test_every_page_is_reached_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    reached = index + decisions
    assert [page_name(p) for p in PAGES if p.parent != ROOT and p.name not in reached and p.name != "index.md"] == []
