"""The documentation as a site: it is built without a warning, leads nowhere wrong, and fetches nothing."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md"))
FETCHED = re.compile(r'<(?:script|img|iframe|source)[^>]* src="([^"]+)"|<link[^>]* href="([^"]+)"')


def build(folder: Path) -> "subprocess.CompletedProcess[str]":
    """What `make site` runs."""
    command = [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is made from, to be changed."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    return folder


def test_the_site_is_built_whole_and_fetches_nothing_from_elsewhere(sources: Path):
    done = build(sources)
    assert done.returncode == 0 and "No issues found" in done.stdout + done.stderr, done.stdout + done.stderr
    site = sources / "var" / "site"
    html = {page: page.read_text("utf-8") for page in site.rglob("*.html")}
    assert len(html) == len(PAGES) + 1, "and one for what is not found"
    fetched = [(page.name, *urls) for page, text in html.items() for urls in FETCHED.findall(text)]
    assert len(fetched) > 100
    assert [f for f in fetched if f[1].startswith(("http", "//")) or f[2].startswith(("http", "//"))] == []
    assert [page.name for page, text in html.items() if "```" in text] == [], "a fence that is none"
    assert 'src="../diagrams/ingest.svg"' in html[site / "architecture" / "index.html"]
    assert "data-model" in (site / "search.json").read_text("utf-8")


@pytest.mark.parametrize("link", ["[gone](nowhere.md)", "[gone](security.md#no-such-heading)"])
def test_a_link_that_leads_nowhere_stops_it(sources: Path, link: str):
    page = sources / "docs" / "tutorial.md"
    text = page.read_text("utf-8")
    page.write_text(f"{text}\n\n{link}\n", "utf-8")
    try:
        done = build(sources)
    finally:
        page.write_text(text, "utf-8")
    assert done.returncode != 0 and "1 issue found" in done.stdout + done.stderr


def test_every_page_has_its_place_in_the_navigation():
    nav = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    named = [page for section in nav for pages in section.values() for page in pages]
    assert sorted(named) == sorted(map(str, PAGES))


def test_addresses_elsewhere_are_addresses():
    text = "".join((ROOT / "docs" / page).read_text("utf-8") for page in PAGES)
    for href in re.findall(r"\]\((https?:[^)]*)\)", text):
        parts = urlsplit(href)
        assert parts.scheme == "https" and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), href
