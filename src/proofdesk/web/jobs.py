"""Pages: jobs asked for with a button, from wherever one stands."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.request import Db, ProjectEditor, Route
from proofdesk.scheduler import runs
from proofdesk.web import shell

router = APIRouter(route_class=Route)


@router.post("/jobs/chatwoot/sync")
async def sync(request: Request, db: Db, scope: ProjectEditor) -> Response:
    """Read Chatwoot."""
    asked = await runs.request(db, scope, "chatwoot_sync", "manual", {})
    return _back(request, "Sync is under way already." if asked.joined else "Sync is under way.")


@router.post("/jobs/embeddings/run")
async def embed(request: Request, db: Db, scope: ProjectEditor) -> Response:
    """Make vectors of what waits for them."""
    asked = await runs.request(db, scope, "embeddings_run", "manual", {})
    return _back(request, "Embedding is under way already." if asked.joined else "Embedding is under way.")


def _back(request: Request, said: str) -> Response:
    """Stay on the page, with a toast; without htmx, go back to where one was."""
    if "hx-request" in request.headers:
        return shell.toasted(said)
    return RedirectResponse(shell.came_from(request), 303)
