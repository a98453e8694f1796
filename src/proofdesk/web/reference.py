"""Page: the reference of the JSON API, drawn from its own description."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.api import operations, reference
from proofdesk.api.operations import Operation
from proofdesk.request import JSON_APP, Db, Route, Viewer
from proofdesk.web import shell

router = APIRouter(route_class=Route)


@router.get("/docs")
async def show_reference(request: Request, db: Db, session: Viewer) -> Response:
    """All operations, by tag."""
    document = reference.described(request.scope[JSON_APP])
    sections: dict[str, list[Operation]] = {}
    for operation in operations.all(document):
        sections.setdefault(operation.tag, []).append(operation)
    values = {"about": document["info"]["description"], "sections": sections}
    return shell.page(request, "reference/page.html", values, frame=await shell.frame(request, db, session))
