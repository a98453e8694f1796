"""The documentation inside the program: whole, in its design, and with links that lead somewhere."""

import re
from pathlib import Path

from proofdesk.http.web import help
from tests.support.pages import HTML
from tests.support.server import Cast

DOCS = Path(__file__).parents[3] / "docs"


def test_every_page_of_the_documentation_is_there_as_it_is_now():
    names = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert set(help.pages()) == {name.removesuffix("/README").replace("/", "-") for name in names}
    packaged = Path(help.__file__).parent / "docs"
    assert [p for p in DOCS.rglob("*.md") if p.read_bytes() != (packaged / p.relative_to(DOCS)).read_bytes()] == []


def test_the_package_holds_the_pictures_that_pages_show_and_no_others():
    packaged = Path(help.__file__).parent / "docs"
    text = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    held = [str(p.relative_to(packaged)) for p in packaged.rglob("*") if p.is_file() and p.suffix != ".md"]
    assert [name for name in held if f"({name})" not in text and f"(../{name})" not in text] == []
    assert sum((packaged / name).stat().st_size for name in held) < 3_000_000


async def test_every_picture_of_every_page_is_served(cast: Cast):
    shown = {src for page in help.pages().values() for src in re.findall(r'<img src="([^"]+)"', page.body)}
    assert len(shown) >= 15
    for src in shown:
        answer = await cast.member.client.get(src)
        assert answer.status_code == 200 and answer.headers["content-type"] in ("image/svg+xml", "image/webp"), src


def test_no_picture_of_the_documentation_is_missing_in_the_help():
    text = "".join(page.read_text("utf-8") for page in DOCS.rglob("*.md"))
    assert sum(page.body.count("<img ") for page in help.pages().values()) == len(re.findall(r"!\[[^\]]*\]\(", text))


def test_every_link_leads_to_a_page_and_to_a_heading_of_it():
    pages = help.pages()
    anchors = {topic: set(re.findall(r'<h\d id="([^"]+)"', page.body)) for topic, page in pages.items()}
    broken = []
    for page in pages.values():
        for href in re.findall(r'<a href="([^"]*)"', page.body):
            topic, _, anchor = href.removeprefix("/help/").partition("#")
            is_known = href.startswith("http") or (topic or page.topic) in pages
            if not is_known or (anchor and not href.startswith("http") and anchor not in anchors[topic or page.topic]):
                broken.append((page.topic, href))
    assert broken == []
    assert sum('href="/help/' in page.body for page in pages.values()) >= 10


def test_what_a_page_holds_is_text_tables_and_code_and_never_html_of_its_own():
    sources = {
        "index.md": "# A <b>bold</b> one\n\n<script>1</script>\n\n[x](javascript:1) [y](../Makefile) [z](a.md#b)"
    }
    page = help._page("index.md", sources | {"a.md": "# A"})
    assert (
        "<script" not in page.body
        and "<b>" not in page.body
        and "javascript:1" not in re.sub(r">[^<]*<", "", page.body)
    )
    assert "<span>y</span>" in page.body and '<a href="/help/a#b">z</a>' in page.body
    architecture = help.pages()["architecture"].body
    assert "<table" in architecture and 'alt="Ingest: ' in architecture and "mermaid" not in architecture
    assert help._page("a.md", {"a.md": "# A\n\n<!-- not shown -->\n![words](none.svg)"}).body.endswith("<p>words</p>\n")


async def test_the_help_is_a_page_like_the_others(cast: Cast):
    index = await cast.member.client.get("/help", headers=HTML)
    assert index.status_code == 200 and 'href="/help/runbooks"' in index.text and 'class="rail"' in index.text
    page = (await cast.member.client.get("/help/runbooks", headers=HTML)).text
    assert 'aria-current="page">Runbooks' in page and 'href="#auth-loop--unauthorized"' in page
    assert (await cast.member.client.get("/help/nonsense", headers=HTML)).status_code == 404
    assert 'href="/help"' in (await cast.member.client.get("/settings", headers=HTML)).text
