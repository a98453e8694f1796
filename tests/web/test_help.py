"""The documentation inside the program: whole, in its design, and with links that lead somewhere."""

import re
from pathlib import Path

from proofdesk.web import help
from tests.api.server import Cast
from tests.web.test_pages import HTML

DOCS = Path(__file__).parents[2] / "docs"


def test_every_page_of_the_documentation_is_there_as_it_is_now():
    names = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert set(help.pages()) == {name.removesuffix("/README").replace("/", "-") for name in names}
    packaged = Path(help.__file__).parent / "docs"
    assert [p for p in DOCS.rglob("*.md") if p.read_bytes() != (packaged / p.relative_to(DOCS)).read_bytes()] == []


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
    assert "<table" in architecture and "language-mermaid" in architecture


async def test_the_help_is_a_page_like_the_others(cast: Cast):
    index = await cast.member.client.get("/help", headers=HTML)
    assert index.status_code == 200 and 'href="/help/runbooks"' in index.text and 'class="rail"' in index.text
    page = (await cast.member.client.get("/help/runbooks", headers=HTML)).text
    assert 'aria-current="page">Runbooks' in page and 'href="#auth-loop--unauthorized"' in page
    assert (await cast.member.client.get("/help/nonsense", headers=HTML)).status_code == 404
    assert 'href="/help"' in (await cast.member.client.get("/settings", headers=HTML)).text
