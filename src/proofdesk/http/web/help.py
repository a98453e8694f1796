"""Pages: the documentation, which scripts/assets.py builds from docs/ with Zensical."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.http.dependencies import CurrentSession, Route
from proofdesk.http.web.assets import BUILT, IMMUTABLE, BuiltFiles

router = APIRouter(prefix="/help", route_class=Route)

SITE = BUILT / "help"
_pages = BuiltFiles(SITE, "private, no-cache")
_assets = BuiltFiles(SITE, f"private, {IMMUTABLE}")


@router.get("")
async def show_start(session: CurrentSession) -> Response:
    """Redirect to the first page; it ends with a slash, because links of the site are relative."""
    return RedirectResponse("/help/", 307)


@router.get("/{path:path}")
async def show_file(request: Request, session: CurrentSession, path: str) -> Response:
    """Return a page of the documentation, or a file that its pages use."""
    if page := _page_address(path):
        return RedirectResponse(page, 307)
    name = f"{path}index.html" if not path or path.endswith("/") else path
    files = _assets if path.startswith("assets/") else _pages
    return await files.get_response(name, request.scope)


def _page_address(path: str) -> str:
    """Return the address of a page named without its slash: `architecture`, or `reference-api` for reference/api."""
    if path == "index":
        return "/help/"
    for name in (path, path.replace("-", "/", 1)):
        if path and not path.endswith("/") and ".." not in name and (SITE / name / "index.html").is_file():
            return f"/help/{name}/"
    return ""
