"""Page: the reference of the JSON API, drawn from its own description."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.http.api import openapi, operations
from proofdesk.http.api.operations import Operation
from proofdesk.http.dependencies import JSON_APP, CurrentSession, Db, Route
from proofdesk.http.web import layout

router = APIRouter(route_class=Route)


@router.get("/docs")
async def show_reference(request: Request, db: Db, session: CurrentSession) -> Response:
    """All operations, by tag."""
    document = openapi.build_document(request.scope[JSON_APP])
    sections: dict[str, list[Operation]] = {}
    for operation in operations.all(document):
        sections.setdefault(operation.tag, []).append(operation)
    values = {"about": document["info"]["description"], "sections": sections}
    return layout.page(request, "reference/page.html", values, frame=await layout.frame(request, db, session))
