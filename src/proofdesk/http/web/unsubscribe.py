"""Pages: the unsubscribe link of an e-mail. Recipients have no account; mail programs may post to it (RFC 8058)."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.http import dependencies
from proofdesk.http.dependencies import Db, Resources, Route
from proofdesk.http.responses import request_id
from proofdesk.http.web import layout
from proofdesk.outbound.opt_outs import unsubscribe
from proofdesk.outbound.opt_outs.unsubscribe import LinkNotFound

router = APIRouter(prefix="/webhooks/unsubscribe", route_class=Route)


@router.get("/{token}")
async def show(request: Request, resources: Resources, token: str) -> Response:
    """Show the button. A GET changes nothing, because mail scanners open links."""
    try:
        link = await resources.links.read(token)
    except LinkNotFound as error:
        return _page(request, error=error)
    return _page(request, recipient=link.recipient)


@router.post("/{token}")
async def opt_out(request: Request, db: Db, resources: Resources, token: str) -> Response:
    """Opt the recipient out, for the button and for mail programs."""
    try:
        link = await unsubscribe.apply_unsubscribe(db, resources.links, token, request_id())
    except LinkNotFound as error:
        return _page(request, error=error)
    return _page(request, recipient=link.recipient, done=True)


def _page(request: Request, *, recipient: str = "", done: bool = False, error: LinkNotFound | None = None) -> Response:
    values = {
        "recipient": recipient,
        "is_done": done,
        "error": error.message if error else "",
        "action": request.scope["path"],
        "sender": request.state.resources.settings.smtp_from or "",
        "request_id": request.scope.get(dependencies.REQUEST_ID, ""),
    }
    return layout.render_page(request, "unsubscribe/page.html", values, status=layout.error_status(error))
