"""Page: the form that writes a message, with or without evidence. It creates a draft and sends nothing."""

import uuid
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import UserSession
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Invalid, ProofdeskError
from proofdesk.evidence import references
from proofdesk.evidence.queries import CitedRow
from proofdesk.evidence.references import EvidenceReference, InvalidEvidenceRef
from proofdesk.http.dependencies import CurrentSession, Db, ProjectEditor, ProjectReader, Route
from proofdesk.http.parameters import parse_time
from proofdesk.http.web import layout, outbound_views
from proofdesk.http.web.layout import Choice
from proofdesk.outbound import drafts, recipients
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.email.message import MAX_SUBJECT_LENGTH
from proofdesk.outbound.channels.interface import InvalidPayload, InvalidRecipient
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.messages import OutboundNotFound
from proofdesk.outbound.recipient_queries import ReachableContact
from proofdesk.projects import projects
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/outbound", route_class=Route)

Text = Annotated[str, Form()]

MAX_CHOICES = 8
FIELDS = ("channel", "to", "subject", "text", "scheduled_at", "evidence", "form")
SOURCES = {"cwmsg": "cw_messages", "cw": "cw_conversations", "commitment": "commitments"}


@dataclass(frozen=True)
class DraftForm:
    """The values of the form. `to` is the chosen recipient; `find` is an address or a name to search for.

    `origin` is what the link to the form named. The browser keeps unsent text separately for each.
    """

    channel: str = "chatwoot"
    to: str = ""
    find: str = ""
    subject: str = ""
    text: str = ""
    scheduled_at: str = ""
    evidence: list[str] = field(default_factory=list)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    origin: str = ""

    @property
    def recipient(self) -> str:
        """Return the recipient."""
        return self.to or self.find.strip()

    @property
    def payload(self) -> dict[str, str]:
        """Return the content in the form that the channel takes."""
        return {"text": self.text} | ({"subject": self.subject} if self.channel == "email" and self.subject else {})


def prefilled_form(channel: str, to: str, refs: list[str]) -> DraftForm:
    """Return a form that contains only what the link to it names."""
    default_channel = channel if channel in outbound_views.CHANNELS else "email" if "@" in to else "chatwoot"
    return DraftForm(default_channel, to=to[:500], evidence=refs, origin=" ".join([to[:500], *refs]).strip())


@router.get("/recipients")
async def find_recipients(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectReader,
    find: str = "",
    channel: str = "chatwoot",
    to: str = "",
) -> Response:
    """Return the contacts that match `find` on the channel, and the chosen one, as a part for htmx."""
    choices = await _recipient_choices(db, scope, channel, find[:200], to[:500])
    return layout.render_partial(request, "outbound/_recipients.html", choices)


@router.post("/draft")
async def draft(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectEditor,
    channel: Text = "",
    to: Text = "",
    find: Text = "",
    subject: Text = "",
    text: Text = "",
    scheduled_at: Text = "",
    evidence_refs: Annotated[list[str] | None, Form()] = None,
    idempotency_key: Text = "",
    origin: Text = "",
    preview: Text = "",
) -> Response:
    """Create a draft and go to its page. With `preview`, only show what the draft would be."""
    content = text.replace("\r\n", "\n")
    form = DraftForm(channel, to, find, subject, content, scheduled_at, evidence_refs or [], idempotency_key, origin)
    if preview and layout.wants_partial(request):
        return layout.render_partial(request, "outbound/_preview.html", {"preview": _preview(form)})
    if preview:
        return await render_composer(request, session, scope, form)
    try:
        message, _ = await drafts.create(db, scope, _draft_request(form))
    except (Invalid, Conflict) as error:
        return await render_composer(request, session, scope, form, error=error)
    return RedirectResponse(f"{outbound_views.message_url(message)}?done=draft", 303)


async def render_composer(
    request: Request, session: UserSession, scope: Scope, form: DraftForm, *, error: ProofdeskError | None = None
) -> Response:
    """Return the page with the form. `error` is shown at the field that it is about."""
    db = request.state.resources.db
    errors = {error_field(error): error.message} if error else {}
    try:
        evidence = await references.load_cited(db, scope, [_reference(ref) for ref in form.evidence])
    except InvalidEvidenceRef as reference_error:
        evidence, errors = [], errors | {"evidence": f"{reference_error.message} This reference was removed."}
    if evidence and not form.recipient:
        form = replace(form, to=_replied_conversation(scope, evidence))
    if isinstance(error, drafts.IdempotencyConflict):
        form = replace(form, key=uuid.uuid4().hex)  # the changed form is another message
    values = {
        "form": form,
        "max_subject_length": MAX_SUBJECT_LENGTH,
        "errors": dict.fromkeys(FIELDS, "") | errors,
        "other_url": f"/outbound/{error.details['id']}" if error and "id" in error.details else "",
        "channels": [Choice(c, name, c == form.channel) for c, name in outbound_views.CHANNELS.items()],
        "cited_evidence": [outbound_views.cited_evidence(r.source, r.ref, c.text or "") for r, c in evidence],
        "preview": _preview(form) if form.text else None,
        **await _recipient_choices(db, scope, form.channel, form.find, form.to),
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(request, "outbound/compose.html", values, frame=frame, status=layout.error_status(error))


def _draft_request(form: DraftForm) -> DraftRequest:
    return DraftRequest(
        channel=form.channel,
        recipient_ref=form.recipient,
        payload=form.payload,
        idempotency_key=form.key,
        scheduled_at=parse_time("scheduled_at", form.scheduled_at) if form.scheduled_at.strip() else None,
        evidence_refs=[_reference(ref) for ref in form.evidence],
    )


def _reference(ref: str) -> dict[str, str]:
    """Return the reference that a name such as `cwmsg:…` stands for."""
    source = "rag_chunks" if "#" in ref else SOURCES.get(ref.partition(":")[0], "external")
    return {"source": source, "ref": ref}


def _replied_conversation(scope: Scope, evidence: list[tuple[EvidenceReference, CitedRow]]) -> str:
    """Return the conversation that the evidence comes from: usually its contact is the recipient."""
    cited = next((c for _, c in evidence if c.account_id and c.conversation_id), None)
    if cited is None or cited.account_id is None or cited.conversation_id is None:
        return ""
    return ids.conversation(scope.project_id, cited.account_id, cited.conversation_id)


def error_field(error: ProofdeskError) -> str:
    """Return the field that an error is about, or `form`."""
    if isinstance(error, InvalidPayload):
        return "subject" if error.details.get("field") == "subject" else "text"
    fields = {registry.InvalidChannel: "channel", InvalidRecipient: "to", InvalidEvidenceRef: "evidence"}
    return fields.get(type(error)) or ("scheduled_at" if "scheduled_at" in error.message else "form")


def _preview(form: DraftForm) -> dict[str, Any]:
    """Return what the recipient would see, or why the channel refuses it."""
    try:
        # Errors of the recipient are shown at its own field.
        checked = registry.CHANNELS[registry.check_channel(form.channel)].check(_ANYBODY[form.channel], form.payload)
    except Invalid as error:
        return {"error": error.message if form.text.strip() else "", "subject": "", "text": "", "channel": ""}
    payload = checked[1]
    return {
        "error": "",
        "subject": payload.get("subject", ""),
        "text": payload["text"],
        "channel": outbound_views.CHANNELS[form.channel],
    }


_ANYBODY = {"chatwoot": f"cw:{uuid.UUID(int=0)}:1:1", "email": "somebody@example.com", "telegram": "1"}


async def _recipient_choices(db: Database, scope: Scope, channel: str, find: str, to: str) -> dict[str, Any]:
    """Return the choices of recipients, the chosen one first."""
    contacts = await recipients.find_reachable(db, scope, channel, find, MAX_CHOICES) if find.strip() or not to else []
    names = await recipients.load_contacts(db, scope, [to] if to else [])
    chosen = [Choice(to, names[to].name if to in names else "", True)] if to else []
    offers = [
        Choice(ref, c.name or "Without a name")
        for c in contacts
        if (ref := _channel_address(scope, channel, c)) != to and ref
    ]
    return {
        "choices": [(o, outbound_views.format_recipient(o.value)) for o in [*chosen, *offers]],
        "query": find.strip(),
    }


def _channel_address(scope: Scope, channel: str, contact: ReachableContact) -> str:
    """Return the address of a contact on the channel."""
    if channel == "email":
        return contact.email or ""
    if channel == "telegram":
        return contact.chat or ""
    if contact.conversation_id is not None:
        return ids.conversation(scope.project_id, contact.account_id, contact.conversation_id)
    return ids.contact(scope.project_id, contact.account_id, contact.contact_id) or ""


def parse_message_id(text: str) -> uuid.UUID:
    """Return the id of a message in an address. Raises `OutboundNotFound`."""
    message_id = projects.parse_id(text)
    if message_id is None:
        raise OutboundNotFound("This project has no such message.")
    return message_id
