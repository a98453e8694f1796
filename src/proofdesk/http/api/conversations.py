"""JSON: the contacts, conversations and messages that were imported."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from proofdesk.conversations import contacts, conversations, messages
from proofdesk.conversations.queries import ContactRow, ConversationMessage, ConversationRow, MessageKind, MessageRow
from proofdesk.core import ids
from proofdesk.core.ids import GlobalId
from proofdesk.http.dependencies import Db, ProjectReader
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.parameters import ConversationId, Limit, Offset, parse_time
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema, to_answer

router = APIRouter(prefix="/v1", tags=["data review"], route_class=JsonRoute)

InboxId = Annotated[int | None, Query(ge=1, lt=2**63)]


class ContactSchema(row_schema(ContactRow)):
    """A contact."""

    id: str = Field(description="`cwc:<project>:<account>:<contact>`")


class ConversationSchema(row_schema(ConversationRow, omit=("contact_id",))):
    """A conversation."""

    id: str = Field(description="`cw:<project>:<account>:<conversation>`")
    contact_global_id: str | None


_INTERNAL_IDS = ("account_id", "message_id", "conversation_id", "contact_id")


class MessageSchema(row_schema(MessageRow, omit=(*_INTERNAL_IDS, "content"))):
    """A message."""

    id: str = Field(description="`cwmsg:<project>:<account>:<message>`")
    conversation_global_id: str
    contact_global_id: str | None
    kind: MessageKind = Field(description="Only an incoming `message` of a contact counts as a reply.")
    content_snippet: str


class ThreadMessageSchema(MessageSchema, row_schema(ConversationMessage, omit=_INTERNAL_IDS)):
    """A message with its whole content."""

    delivery_error: str | None = Field(description="Why the channel did not deliver it; null unless it reported so.")


@router.get("/contacts", summary="List contacts", response_model=schema("Contacts", contacts=list[ContactSchema]))
async def list_contacts(
    db: Db, scope: ProjectReader, q: str | None = None, limit: Limit = 100, offset: Offset = 0
) -> JsonEnvelope:
    """The last changed first. `q` searches name, e-mail address, phone number and identifier."""
    rows = await contacts.list_contacts(db, scope, q, limit, offset)
    return success(contacts=[_contact(scope.project_id, row) for row in rows])


@router.get(
    "/conversations",
    summary="List conversations",
    response_model=schema("Conversations", conversations=list[ConversationSchema]),
)
async def list_conversations(
    db: Db,
    scope: ProjectReader,
    inbox_id: InboxId = None,
    status: str | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> JsonEnvelope:
    """The last active first."""
    rows = await conversations.list_conversations(db, scope, inbox_id, status or None, limit, offset)
    return success(conversations=[_conversation(scope.project_id, row) for row in rows])


@router.get("/messages", summary="List messages", response_model=schema("Messages", messages=list[MessageSchema]))
async def list_messages(
    db: Db,
    scope: ProjectReader,
    conversation_global_id: ConversationId | None = None,
    before: Annotated[str | None, Query(description="A time, or the id of the message to continue after.")] = None,
    limit: Limit = 100,
) -> JsonEnvelope:
    """The newest first."""
    rows = await messages.list_messages(db, scope, conversation_global_id, _before(before), limit)
    project = str(scope.project_id)
    return success(messages=[_message(project, row) for row in rows])


@router.get(
    "/conversations/{conversation_id}/thread",
    summary="Get a conversation",
    response_model=schema("Thread", conversation=ConversationSchema, messages=list[ThreadMessageSchema]),
)
async def show_thread(db: Db, scope: ProjectReader, conversation_id: ConversationId) -> JsonEnvelope:
    """All its messages, in order."""
    details = await conversations.get_conversation(db, scope, conversation_id)
    project = str(scope.project_id)
    return success(
        conversation=_conversation(scope.project_id, details.conversation),
        messages=[_thread_message(project, row) for row in details.messages],
    )


def _before(text: str | None) -> datetime | GlobalId | None:
    if not text:
        return None
    if text.startswith("cwmsg:"):
        return ids.parse(text, "message")
    return parse_time("before", text)


def _contact(project_id: UUID, row: ContactRow) -> dict[str, Any]:
    return to_answer(ContactSchema, row, id=ids.contact(project_id, row.account_id, row.contact_id))


def _conversation(project_id: UUID, row: ConversationRow) -> dict[str, Any]:
    return to_answer(
        ConversationSchema,
        row,
        id=ids.conversation(project_id, row.account_id, row.conversation_id),
        contact_global_id=ids.contact(project_id, row.account_id, row.contact_id),
    )


def _message(project_id: str, row: MessageRow) -> dict[str, Any]:
    return to_answer(MessageSchema, row, **_message_ids(project_id, row))


def _thread_message(project_id: str, row: ConversationMessage) -> dict[str, Any]:
    return to_answer(ThreadMessageSchema, row, **_message_ids(project_id, row))


def _message_ids(project_id: str, row: MessageRow) -> dict[str, Any]:
    return {
        "id": ids.message(project_id, row.account_id, row.message_id),
        "conversation_global_id": ids.conversation(project_id, row.account_id, row.conversation_id),
        "contact_global_id": ids.contact(project_id, row.account_id, row.contact_id),
        "content_snippet": messages.snippet(row.content),
    }
