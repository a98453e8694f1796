"""Page: the reference of the JSON API. Swagger UI draws it from /v1/openapi.json."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.http.dependencies import CurrentSession, Db, Route
from proofdesk.http.web import layout

router = APIRouter(route_class=Route)


@router.get("/docs")
async def show_reference(request: Request, db: Db, session: CurrentSession) -> Response:
    """Show all operations of the API."""
    return layout.render_page(request, "reference/page.html", {}, frame=await layout.load_frame(request, db, session))
