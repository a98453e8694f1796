"""JSON: what the link of a letter is about, and no more mail. For mail programs, and for whoever has the link."""

from fastapi import APIRouter

from proofdesk.http.dependencies import Db, Resources
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.responses import Envelope, request_id, success
from proofdesk.http.schemas import schema
from proofdesk.outbound.opt_outs import unsubscribe

router = APIRouter(prefix="/v1/webhooks/unsubscribe", tags=["outbound"], route_class=JsonRoute)

Link = schema("UnsubscribeLink", recipient=str, channel=str)


@router.get("/{token}", summary="What the link of a letter is about", response_model=Link)
async def show(held: Resources, token: str) -> Envelope:
    """Whom it is for. Changes nothing: scanners of mail open links."""
    named = await held.links.read(token)
    return success(recipient=named.recipient, channel=unsubscribe.CHANNEL)


@router.post("/{token}", summary="No more mail", response_model=Link)
async def carry_out(db: Db, held: Resources, token: str) -> Envelope:
    """Opts the recipient out of e-mail in the project that the letter came from. Without a prefix it takes the form of
    RFC 8058 too."""
    named = await unsubscribe.carry_out(db, held.links, token, request_id())
    return success(recipient=named.recipient, channel=unsubscribe.CHANNEL)
