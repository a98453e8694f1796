"""The documentation site: it builds without warnings, has no broken links, and loads nothing from other servers."""

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
LOADED = re.compile(r'<(?:script|img|iframe|source)[^>]* src="([^"]+)"|<link[^>]* href="([^"]+)"')


def build(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Build the site of the folder as `make site` does."""
    command = [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a copy of the sources of the site."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    return folder


def test_the_site_is_complete_and_loads_nothing_from_elsewhere(sources: Path):
    process = build(sources)
    assert process.returncode == 0 and "No issues found" in process.stdout + process.stderr, (
        process.stdout + process.stderr
    )
    site = sources / "var" / "site"
    html = {page: page.read_text("utf-8") for page in site.rglob("*.html")}
    assert len(html) == len(PAGES) + 1, "every page, and the page for 404"
    urls = [(page.name, *match) for page, text in html.items() for match in LOADED.findall(text)]
    assert len(urls) > 100
    assert [f for f in urls if f[1].startswith(("http", "//")) or f[2].startswith(("http", "//"))] == []
    assert [page.name for page, text in html.items() if "```" in text] == [], "an unparsed code fence"
    assert 'src="../diagrams/ingest.svg"' in html[site / "architecture" / "index.html"]
    assert "data-model" in (site / "search.json").read_text("utf-8")


@pytest.mark.parametrize("link", ["[gone](nowhere.md)", "[gone](security.md#no-such-heading)"])
def test_a_broken_link_stops_the_build(sources: Path, link: str):
    page = sources / "docs" / "tutorial.md"
    text = page.read_text("utf-8")
    page.write_text(f"{text}\n\n{link}\n", "utf-8")
    try:
        process = build(sources)
    finally:
        page.write_text(text, "utf-8")
    assert process.returncode != 0 and "1 issue found" in process.stdout + process.stderr


def test_the_navigation_lists_every_page():
    nav = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]["nav"]
    listed = [page for section in nav for pages in section.values() for page in pages]
    assert sorted(listed) == sorted(map(str, PAGES))


def test_external_links_are_https_addresses():
    text = "".join((ROOT / "docs" / page).read_text("utf-8") for page in PAGES)
    for href in re.findall(r"\]\((https?:[^)]*)\)", text):
        parts = urlsplit(href)
        assert parts.scheme == "https" and re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), href
