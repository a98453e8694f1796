"""JSON: what was imported."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from proofdesk.conversations import contacts, conversations, messages
from proofdesk.conversations.queries import ContactRow, ConversationRow, MessageRow
from proofdesk.core import ids
from proofdesk.core.ids import GlobalId
from proofdesk.http.dependencies import Db, ProjectReader
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.parameters import ConversationId, Limit, Offset, parse_time
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema

router = APIRouter(prefix="/v1", tags=["data review"], route_class=JsonRoute)

InboxId = Annotated[int | None, Query(ge=1, lt=2**63)]


Kind = Literal[
    "message", "auto_reply", "bounce", "reaction", "survey", "bot", "template", "activity", "note", "deleted"
]


class ContactShape(BaseModel):
    """A contact."""

    id: str = Field(description="`cwc:<project>:<account>:<contact>`")
    account_id: int
    contact_id: int
    name: str
    email: str | None
    phone_number: str | None
    identifier: str | None
    updated_at: datetime


class ConversationShape(BaseModel):
    """A conversation."""

    id: str = Field(description="`cw:<project>:<account>:<conversation>`")
    account_id: int
    conversation_id: int
    contact_global_id: str | None
    contact_name: str | None
    inbox_id: int
    inbox_name: str | None
    status: str
    assignee_id: int | None
    assignee_name: str | None
    labels: list[str]
    last_activity_at: datetime
    updated_at: datetime
    created_at: datetime


class MessageShape(BaseModel):
    """A message."""

    id: str = Field(description="`cwmsg:<project>:<account>:<message>`")
    conversation_global_id: str
    contact_global_id: str | None
    message_type: str
    content_type: str
    sender_type: str
    sender_name: str | None
    private: bool
    deleted: bool
    kind: Kind = Field(description="Only an incoming `message` of a contact counts as a reply.")
    content_snippet: str
    created_at: datetime
    updated_at: datetime


class ThreadMessageShape(MessageShape):
    """A message with all of its content."""

    content: str | None
    attachments: list[Any]
    delivery_error: str | None = Field(description="Why the channel did not deliver it; null while it did not say so.")


@router.get("/contacts", summary="Contacts", response_model=schema("Contacts", contacts=list[ContactShape]))
async def list_contacts(
    db: Db, scope: ProjectReader, q: str | None = None, limit: Limit = 100, offset: Offset = 0
) -> Envelope:
    """The last changed first; `q` looks into name, address, number and identifier."""
    found = await contacts.list_contacts(db, scope, q, limit, offset)
    return success(contacts=[_contact(scope.project_id, c) for c in found])


@router.get(
    "/conversations",
    summary="Conversations",
    response_model=schema("Conversations", conversations=list[ConversationShape]),
)
async def list_conversations(
    db: Db,
    scope: ProjectReader,
    inbox_id: InboxId = None,
    status: str | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Envelope:
    """The last active first."""
    found = await conversations.list_conversations(db, scope, inbox_id, status or None, limit, offset)
    return success(conversations=[_conversation(scope.project_id, c) for c in found])


@router.get("/messages", summary="Messages", response_model=schema("Messages", messages=list[MessageShape]))
async def list_messages(
    db: Db,
    scope: ProjectReader,
    conversation_global_id: ConversationId | None = None,
    before: Annotated[str | None, Query(description="A time, or the id of a message to go on from.")] = None,
    limit: Limit = 100,
) -> Envelope:
    """The newest first."""
    found = await messages.list_messages(db, scope, conversation_global_id, _before(before), limit)
    project = str(scope.project_id)
    return success(messages=[_message(project, m) for m in found])


@router.get(
    "/conversations/{conversation_id}/thread",
    summary="A whole conversation",
    response_model=schema("Thread", conversation=ConversationShape, messages=list[ThreadMessageShape]),
)
async def show_thread(db: Db, scope: ProjectReader, conversation_id: ConversationId) -> Envelope:
    """All its messages, in order."""
    thread = await conversations.get_conversation(db, scope, conversation_id)
    project = str(scope.project_id)
    whole = [
        _message(project, m) | {"content": m.content, "attachments": m.attachments, "delivery_error": m.delivery_error}
        for m in thread.messages
    ]
    return success(conversation=_conversation(scope.project_id, thread.conversation), messages=whole)


def _before(text: str | None) -> datetime | GlobalId | None:
    if not text:
        return None
    if text.startswith("cwmsg:"):
        return ids.parse(text, "message")
    return parse_time("before", text)


def _contact(project_id: UUID, row: ContactRow) -> dict[str, Any]:
    return {"id": ids.contact(project_id, row.account_id, row.contact_id), **vars(row)}


def _conversation(project_id: UUID, row: ConversationRow) -> dict[str, Any]:
    fields = {name: value for name, value in vars(row).items() if name != "contact_id"}
    return {
        "id": ids.conversation(project_id, row.account_id, row.conversation_id),
        "contact_global_id": ids.contact(project_id, row.account_id, row.contact_id),
        **fields,
    }


def _message(project_id: str, row: MessageRow) -> dict[str, Any]:
    return {
        "id": ids.message(project_id, row.account_id, row.message_id),
        "conversation_global_id": ids.conversation(project_id, row.account_id, row.conversation_id),
        "contact_global_id": ids.contact(project_id, row.account_id, row.contact_id),
        "message_type": row.message_type,
        "content_type": row.content_type,
        "sender_type": row.sender_type,
        "sender_name": row.sender_name,
        "private": row.private,
        "deleted": row.deleted,
        "kind": row.kind,
        "content_snippet": messages.snippet(row.content),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
