"""The files of the pages: bundled, packed, and named by their content, so that browsers may keep them for good.

`static/styles/*.css` become one sheet, tokens first. `static/built/` comes from npm by scripts/assets.py, which brings
the pictures of the documentation as well: they are served as `docs/…`.
"""

import gzip
import hashlib
import importlib.resources
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proofdesk.errors import Unavailable

STYLES = "app.css"
FIRST = ("tokens.css", "base.css", "components.css")
TEXT = {".css", ".js", ".svg", ".txt"}
KINDS = {".woff2": "font/woff2", ".webp": "image/webp"}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    """A file as it is served: its content, and the same packed where that is smaller."""

    body: bytes
    packed: bytes | None
    kind: str
    version: str


class AssetsMissing(Unavailable):
    """What comes from npm was never fetched."""

    code = "assets_missing"


def asset(name: str) -> str:
    """The address of a file, with the version of its content."""
    return f"/static/{name}?v={files()[name].version}"


def serve(app: Starlette) -> None:
    """Serve the files under /static. Raises `AssetsMissing`."""
    files()
    app.mount("/static", _answer, name="static")


@cache
def files() -> dict[str, File]:
    """Every file by its name. Raises `AssetsMissing`."""
    read = _read("static", "") | {n: body for n, body in _read("docs", "docs/").items() if not n.endswith(".md")}
    if "built/htmx.js" not in read:
        raise AssetsMissing("The files that the pages take from npm are missing: run `make assets`.")
    made = {name: _file(name, body) for name, body in read.items() if not name.endswith(".css")}
    sheet = b"\n".join([read["built/uplot.css"], *(read[name] for name in sorted(read, key=_order) if _own(name))])
    return made | {STYLES: _file(STYLES, _pointed(sheet, made))}


def _read(folder: str, called: str) -> dict[str, bytes]:
    """Every file in a folder of this package, by its name after `called`."""
    found: dict[str, bytes] = {}
    for entry in (importlib.resources.files("proofdesk.http.web") / folder).iterdir():
        inside, name = f"{folder}/{entry.name}", f"{called}{entry.name}"
        found |= _read(inside, f"{name}/") if entry.is_dir() else {name: entry.read_bytes()}
    return found


def _own(name: str) -> bool:
    return name.startswith("styles/")


def _order(name: str) -> tuple[int, str]:
    stem = name.rsplit("/", 1)[-1]
    return (FIRST.index(stem) if stem in FIRST else len(FIRST), stem)


def _pointed(sheet: bytes, made: dict[str, File]) -> bytes:
    """The sheet with the addresses of the files that it names."""
    return re.sub(
        rb"url\(([\w./-]+)\)", lambda m: f"url(/static/{m[1].decode()}?v={made[m[1].decode()].version})".encode(), sheet
    )


def _file(name: str, body: bytes) -> File:
    kind = KINDS.get(PurePosixPath(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = gzip.compress(body, 9, mtime=0) if PurePosixPath(name).suffix in TEXT else None
    return File(body, packed, kind, hashlib.sha256(body).hexdigest()[:12])


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/")
    found = files().get(name)
    if found is None or scope["method"] not in ("GET", "HEAD"):
        raise HTTPException(404 if found is None else 405)
    asked = Headers(scope=scope)
    # An address with a version never changes its content.
    lasting = f"v={found.version}".encode() in scope.get("query_string", b"")
    headers = {
        "cache-control": FOREVER if lasting else "no-cache",
        "etag": f'"{found.version}"',
        "vary": "Accept-Encoding",
    }
    if asked.get("if-none-match") == headers["etag"]:
        await Response(status_code=304, headers=headers)(scope, receive, send)
        return
    body = found.body
    if found.packed is not None and "gzip" in asked.get("accept-encoding", ""):
        body, headers["content-encoding"] = found.packed, "gzip"
    await Response(body, headers=headers, media_type=found.kind)(scope, receive, send)
