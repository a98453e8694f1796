"""The documentation in the program: complete, allowed by the Content-Security-Policy, and without broken links."""

import posixpath
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from proofdesk.http.web import help
from tests.support.browser import Visit
from tests.support.pages import HTML
from tests.support.server import Cast

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {str(page.relative_to(help.SITE)): page.read_text("utf-8") for page in help.SITE.rglob("*.html")}


def test_every_page_of_the_documentation_is_in_the_package():
    names = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    expected = {"index.html" if name == "index" else f"{name.removesuffix('README')}/index.html" for name in names}
    assert set(PAGES) == {posixpath.normpath(name) for name in expected}


def test_the_package_contains_the_pictures_that_pages_show_and_no_others():
    shown = {Path(src).name for text in PAGES.values() for src in re.findall(r'<img [^>]*src="([^"]+)"', text)}
    packaged = [p for p in help.SITE.rglob("*") if p.suffix in (".webp", ".png") or p.parent.name == "diagrams"]
    assert len(shown) >= 15
    assert {p.name for p in packaged if p.suffix != ".gz"} - shown <= {"favicon.png"}
    assert sum(p.stat().st_size for p in help.SITE.rglob("*") if p.is_file()) < 7_000_000


def test_every_link_and_file_of_a_page_exists():
    anchors = {name: set(re.findall(r' id="([^"]+)"', text)) for name, text in PAGES.items()}
    broken = []
    for name, text in PAGES.items():
        for address in re.findall(r' (?:href|src)="([^"]*)"', text):
            parts = urlsplit(unescape(address))
            if parts.scheme or address == "/":
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), parts.path)) if parts.path else name
            target = f"{target}/index.html" if (help.SITE / target).is_dir() else target
            target = posixpath.normpath(target)
            has_anchor = not parts.fragment or unquote(parts.fragment) in {*anchors.get(target, ()), "__skip"}
            if not (help.SITE / target).is_file() or not has_anchor:
                broken.append((name, address))
    assert broken == []


def test_pages_have_no_inline_script_or_style():
    assert [name for name, text in PAGES.items() if re.search(r"<script>|<style|\sstyle=|\son[a-z]+=\"", text)] == []


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("/help", "/help/"),
        ("/help/index", "/help/"),
        ("/help/architecture", "/help/architecture/"),
        ("/help/reference-api", "/help/reference/api/"),
        ("/help/decisions", "/help/decisions/"),
        ("/help/decisions-site-by-zensical", "/help/decisions/site-by-zensical/"),
    ],
)
async def test_a_page_is_found_by_its_name(cast: Cast, address: str, page: str):
    response = await cast.member.client.get(address, headers=HTML)
    assert (response.status_code, response.headers["location"]) == (307, page)
    shown = await cast.member.client.get(page, headers=HTML)
    assert shown.status_code == 200 and "Back to Proofdesk" in shown.text


async def test_files_are_compressed_and_kept_by_the_browser(cast: Cast):
    sheet = next(p for p in help.SITE.glob("assets/stylesheets/modern/main.*.css"))
    response = await cast.member.client.get(f"/help/{sheet.relative_to(help.SITE)}")
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/css")
    assert response.headers["content-encoding"] == "gzip" and "immutable" in response.headers["cache-control"]
    page = await cast.member.client.get("/help/", headers=HTML)
    assert page.headers["cache-control"] == "private, no-cache"
    again = await cast.member.client.get("/help/", headers=HTML | {"if-none-match": page.headers["etag"]})
    assert again.status_code == 304


async def test_help_needs_a_session_and_serves_nothing_else(cast: Cast, anyone):
    response = await anyone.get("/help/architecture/", headers=HTML)
    assert (response.status_code, response.headers["location"]) == (303, "/login?next=/help/architecture/")
    for path in ("nonsense", "nonsense/", "../help.py", "..%2f..%2fhelp.py", "%2e%2e/%2e%2e/help.py", "index.html.gz"):
        assert (await cast.member.client.get(f"/help/{path}", headers=HTML)).status_code == 404, path
    assert 'href="/help/"' in (await cast.member.client.get("/settings", headers=HTML)).text


async def test_a_browser_searches_the_help_within_the_policy(cast: Cast, server: str, visit: Visit):
    page = await visit(server, cast.member.token, silent=True)
    await page.goto("/help/architecture/")
    await page.locator(".md-search__button").click()
    await page.get_by_role("combobox", name="Search").fill("quarantine")
    await page.get_by_text(re.compile(r"^\d+ results$")).wait_for()
    await page.goto("/help/")
    await page.get_by_role("link", name="Back to Proofdesk").first.click()
    await page.wait_for_url("/")
