"""The unsubscribe link of an e-mail, for mail programs and for people."""

from fastapi import APIRouter

from proofdesk.http.dependencies import Db, Resources
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.responses import JsonEnvelope, request_id, success
from proofdesk.http.schemas import schema
from proofdesk.outbound.opt_outs import unsubscribe

router = APIRouter(prefix="/v1/webhooks/unsubscribe", tags=["outbound"], route_class=JsonRoute)

UnsubscribeLinkAnswer = schema("UnsubscribeLink", recipient=str, channel=str)


@router.get("/{token}", summary="Show an unsubscribe link", response_model=UnsubscribeLinkAnswer)
async def show(resources: Resources, token: str) -> JsonEnvelope:
    """The recipient of the link. Changes nothing, because mail scanners open links."""
    link = await resources.links.read(token)
    return success(recipient=link.recipient, channel=unsubscribe.CHANNEL)


@router.post("/{token}", summary="Unsubscribe from e-mail", response_model=UnsubscribeLinkAnswer)
async def opt_out(db: Db, resources: Resources, token: str) -> JsonEnvelope:
    """Opts the recipient out of e-mail in the project that sent the message.

    Without a prefix this URL also accepts the form of RFC 8058 (one-click unsubscribe).
    """
    link = await unsubscribe.apply_unsubscribe(db, resources.links, token, request_id())
    return success(recipient=link.recipient, channel=unsubscribe.CHANNEL)
