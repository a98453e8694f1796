"""Page: the documentation, in the design of the rest. scripts/assets.py brings docs/ into the package.

What a page shows is Markdown that looks the same on a Git host: tables, code, and pictures. Diagrams are pictures, too.
"""

import importlib.resources
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from itertools import pairwise
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from proofdesk.errors import NotFound
from proofdesk.http.dependencies import CurrentSession, Db, Route
from proofdesk.http.web import layout
from proofdesk.http.web.assets import asset, files

router = APIRouter(route_class=Route)

INDEX = "index"
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page of the documentation; `sections` are its second headings with their anchors."""

    topic: str
    title: str
    body: Markup
    sections: list[tuple[str, str]]


class PageNotFound(NotFound):
    """There is no page of that name."""

    code = "not_found"


@router.get("/help")
async def show_index(request: Request, db: Db, session: CurrentSession) -> Response:
    """The entrance."""
    return await _shown(request, db, session, INDEX)


@router.get("/help/{topic}")
async def show_page(request: Request, db: Db, session: CurrentSession, topic: str) -> Response:
    """One page."""
    return await _shown(request, db, session, topic)


async def _shown(request: Request, db: Db, session: CurrentSession, topic: str) -> Response:
    found = pages()
    if topic not in found:
        raise PageNotFound("There is no such page of the documentation. /help leads to all of them.")
    values = {"page": found[topic], "others": [p for p in found.values() if "-" not in p.topic or p.topic == topic]}
    return layout.page(request, "help/page.html", values, frame=await layout.frame(request, db, session))


@cache
def pages() -> dict[str, Page]:
    """Every page by its topic, the entrance first."""
    sources = dict(_read(importlib.resources.files("proofdesk.http.web") / "docs", ""))
    return {_topic(path): _page(path, sources) for path in sorted(sources, key=lambda p: (p != "index.md", p))}


def _read(folder: Traversable, at: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.is_dir():
            yield from _read(entry, f"{at}{entry.name}/")
        elif entry.name.endswith(".md"):
            yield at + entry.name, entry.read_text("utf-8")


def _topic(path: str) -> str:
    return path.removesuffix(".md").removesuffix("/README").replace("/", "-")


def _page(path: str, sources: dict[str, str]) -> Page:
    # No HTML: a page of the documentation can do no more than its Markdown says.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(_COMMENT.sub("", sources[path]))
    headings = list(_anchored(tokens))
    for token in tokens:
        _lead(token.children or [], path, sources)
        _show(token.children or [], path)
        if token.type in ("fence", "code_block", "table_open"):
            token.attrSet("tabindex", "0")  # whoever has no mouse scrolls it, too
    title = next((text for tag, text, _ in headings if tag == "h1"), path)
    sections = [(text, anchor) for tag, text, anchor in headings if tag == "h2"]
    return Page(_topic(path), title, Markup(markdown.renderer.render(tokens, markdown.options, {})), sections)  # noqa: S704


def _anchored(tokens: list[Token]) -> Iterator[tuple[str, str, str]]:
    """The headings, each given the anchor that links of the pages use, as Git hosts do it."""
    taken: dict[str, int] = {}
    for opening, inside in pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inside.children or [])
            anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            taken[anchor] = taken.get(anchor, -1) + 1
            anchor = f"{anchor}-{taken[anchor]}" if taken[anchor] else anchor
            opening.attrSet("id", anchor)
            yield opening.tag, text, anchor


def _lead(tokens: list[Token], path: str, sources: dict[str, str]) -> None:
    """Links between pages lead to /help; what is not in the program, such as a file of its sources, is only named."""
    named = False
    for token in tokens:
        if token.type == "link_open":
            address = _address(str(token.attrGet("href") or ""), path, sources)
            token.attrs = {"href": address} if address else {}
            named = not address
        if token.type in ("link_open", "link_close") and named:
            token.tag = "span"


def _show(tokens: list[Token], path: str) -> None:
    """Pictures come from the package, and when they are scrolled to; one that is not there leaves its words."""
    for token in tokens:
        if token.type == "image":
            name = "docs/" + _beside(path, str(token.attrGet("src") or ""))
            if name in files():
                token.attrs |= {"src": asset(name), "loading": "lazy"}
            else:
                token.type, token.tag, token.children = "text", "", None


def _beside(path: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name))


def _address(href: str, path: str, sources: dict[str, str]) -> str:
    parts = urlsplit(href)
    if parts.scheme in ("http", "https") or href.startswith("#"):
        return href
    target = _beside(path, parts.path)
    anchor = f"#{parts.fragment}" if parts.fragment else ""
    return f"/help/{_topic(target)}{anchor}" if target in sources else ""
