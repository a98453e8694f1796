"""Page: the form that edits a message which was not sent."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import UserSession
from proofdesk.errors import Conflict, Invalid, ProofdeskError
from proofdesk.http.dependencies import CurrentSession, Db, ProjectEditor, ProjectReader, Route
from proofdesk.http.parameters import parse_time
from proofdesk.http.web import composer, layout, outbound_views
from proofdesk.outbound import edits, messages
from proofdesk.outbound.edits import MessageEdit
from proofdesk.outbound.message_queries import OutboundMessage

router = APIRouter(prefix="/outbound", route_class=Route)

Text = Annotated[str, Form()]


@dataclass(frozen=True)
class EditForm:
    """The values of the form. `read_hash` is the content hash of the version that the editor sees."""

    to: str
    subject: str
    text: str
    scheduled_at: str
    read_hash: str


@router.get("/{outbound_id}/edit")
async def show_form(
    request: Request, db: Db, session: CurrentSession, scope: ProjectReader, outbound_id: str
) -> Response:
    """Show the form with the present content."""
    message = await messages.get_message(db, scope, composer.parse_message_id(outbound_id))
    scheduled = f"{message.scheduled_at:%Y-%m-%dT%H:%M}" if message.scheduled_at else ""
    payload = message.payload
    form = EditForm(message.recipient_ref, payload.get("subject", ""), payload["text"], scheduled, message.content_hash)
    return await _render(request, session, message, form)


@router.post("/{outbound_id}/edit")
async def edit(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectEditor,
    outbound_id: str,
    to: Text = "",
    subject: Text = "",
    text: Text = "",
    scheduled_at: Text = "",
    evidence_refs: Annotated[list[str] | None, Form()] = None,
    read_hash: Text = "",
) -> Response:
    """Store the edit and go to the message, which is a draft again."""
    message = await messages.get_message(db, scope, composer.parse_message_id(outbound_id))
    form = EditForm(to, subject, text.replace("\r\n", "\n"), scheduled_at, read_hash)
    try:
        changes = _changes(message, form, evidence_refs or [])
        edited = await edits.edit(db, scope, message.id, changes, read_hash=read_hash)
    except (Invalid, Conflict) as error:
        return await _render(request, session, message, form, error=error)
    done = "edited" if message.status == "draft" else "unapproved" if edited.status == "draft" else "unchanged"
    return RedirectResponse(f"{outbound_views.message_url(message)}?done={done}", 303)


def _changes(message: OutboundMessage, form: EditForm, kept: list[str]) -> MessageEdit:
    changes = MessageEdit(
        recipient_ref=form.to,
        payload=edits.with_text(message.payload, form.text, form.subject if message.channel == "email" else None),
        scheduled_at=parse_time("scheduled_at", form.scheduled_at) if form.scheduled_at.strip() else None,
    )
    refs = [ref for ref in message.evidence_refs if ref["ref"] in kept]
    return changes if refs == message.evidence_refs else changes | {"evidence_refs": refs}


async def _render(
    request: Request,
    session: UserSession,
    message: OutboundMessage,
    form: EditForm,
    *,
    error: ProofdeskError | None = None,
) -> Response:
    errors = {composer.error_field(error): error.message} if error else {}
    values: dict[str, Any] = {
        "form": asdict(form),
        "message": message,
        "url": outbound_views.message_url(message),
        "channel": outbound_views.CHANNELS[message.channel],
        "errors": dict.fromkeys(composer.FIELDS, "") | errors,
    }
    frame = await layout.load_frame(request, request.state.resources.db, session)
    return layout.render_page(request, "outbound/edit.html", values, frame=frame, status=layout.error_status(error))
