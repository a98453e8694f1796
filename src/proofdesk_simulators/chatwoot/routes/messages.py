"""Messages and attachments of one conversation."""

import html
import re
from collections.abc import Mapping

from proofdesk_simulators.chatwoot import access, messages
from proofdesk_simulators.chatwoot.messages import Draft
from proofdesk_simulators.chatwoot.records import (
    INCOMING,
    OUTGOING,
    AgentBot,
    Attachment,
    Attributes,
    Conversation,
    Message,
    Sender,
)
from proofdesk_simulators.chatwoot.refusals import not_found, refuse, rule_violation
from proofdesk_simulators.chatwoot.routes.call import Call
from proofdesk_simulators.chatwoot.views import attachments as attachment_views
from proofdesk_simulators.chatwoot.views import conversations as conversation_views
from proofdesk_simulators.chatwoot.views import messages as views

ATTACHMENTS_PAGE = 100
ADDRESS = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")
FILE_TYPES = ("image", "audio", "video")


def index(call: Call) -> object:
    """GET messages"""
    row = _conversation(call)
    ties = call.simulator.switches.tie_order
    before, after = _cursor(call.query.get("before")), _cursor(call.query.get("after"))
    if call.simulator.switches.ignore_windows:
        before = after = None
    page = messages.select_page(
        row,
        before,
        after,
        public_only=bool(call.query.get("filter_internal_messages")),
        descending_ties=ties == "descending"
        or (ties == "alternating" and len(call.simulator.journal.entries) % 2 == 0),
    )
    if before is not None and after is not None:
        page = page[: call.simulator.switches.window_limit]
    most = call.simulator.switches.most_messages
    if (most is not None and len(page) > most) or any(message.id in call.installation.unrenderable for message in page):
        raise refuse("500")
    return conversation_views.message_list(call.installation, row, page)


def create(call: Call) -> object:
    """POST messages: responds 200 when the message is stored, before it is delivered."""
    message = post(call, _conversation(call), call.values)
    view = views.message(call.installation, message)
    echo = call.text("echo_id")
    return view | {"echo_id": echo} if echo is not None else view


def post(call: Call, row: Conversation, values: Mapping[str, object]) -> Message:
    """Store a client's message. The client cannot choose its time or sender."""
    is_api = row.inbox.channel_type == "Channel::Api"
    incoming = values.get("message_type") == "incoming"
    if incoming and not is_api:
        raise rule_violation("Incoming messages are only allowed in Api inboxes")
    private = str(values.get("private", "false")).lower() == "true"
    content = values.get("content")
    draft = Draft(
        content=None if content is None else str(content),
        message_type=INCOMING if incoming else OUTGOING,
        private=private,
        content_type=str(values.get("content_type") or "text"),
        content_attributes=_content_attributes(call, row, values, private),
        additional_attributes=_additional_attributes(values),
        source_id=None if values.get("source_id") is None else str(values["source_id"]),
        attachments=[_attachment(call, file.filename, file.content_type, file.data) for file in call.files],
    )
    messages.check(call.installation, row, draft)
    sender = row.contact if incoming else _sender(call, values)
    return messages.create(call.installation, row, draft, sender)


def delete(call: Call) -> object:
    """DELETE messages/{id}: soft deletion, responds with the remaining fields."""
    return views.message(call.installation, messages.delete(call.installation, _message(call)))


def retry(call: Call) -> object:
    """POST messages/{id}/retry"""
    return views.message(call.installation, messages.retry(call.installation, _message(call)))


def update(call: Call) -> object:
    """PATCH messages/{id}: the delivery status, in API inboxes only."""
    message = _message(call)
    if message.conversation.inbox.channel_type != "Channel::Api":
        raise refuse("403")
    status = call.text("status") or message.status
    messages.set_status(call.installation, message, status, call.text("external_error"))
    return views.message(call.installation, message)


def list_attachments(call: Call) -> object:
    """GET attachments: newest first, 100 per page."""
    row = _conversation(call)
    pairs = [(file, message) for message in row.messages for file in message.attachments or []]
    pairs.sort(key=lambda pair: -pair[0].id)
    page = call.query.get("page") or "1"
    start = (max(int(page), 1) - 1 if page.isdecimal() else 0) * ATTACHMENTS_PAGE
    url = call.simulator.switches.public_url
    shown = [
        attachment_views.attachment(file, message.id, row.account.id, url)
        | {"sender": views.sender(message.sender) if message.sender else None}
        | {"created_at": int(message.created_at)}
        for file, message in pairs[start : start + ATTACHMENTS_PAGE]
    ]
    return {"meta": {"total_count": len(pairs)}, "payload": shown}


def _conversation(call: Call) -> Conversation:
    return access.get_conversation(call.caller, call.account, call.path["conversation_id"])


def _message(call: Call) -> Message:
    row = _conversation(call)
    message = call.installation.messages.get(call.path["message_id"])
    if message is None or message.conversation is not row:
        raise not_found()
    return message


def _cursor(text: str | None) -> int | None:
    """Return the cursor. Text that is not a number is 0, as in Ruby."""
    if not text:
        return None
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else 0


def _sender(call: Call, values: Mapping[str, object]) -> Sender:
    if values.get("sender_type") == "AgentBot":
        bot = call.installation.bots.get(int(str(values.get("sender_id") or 0)))
        if bot is not None and bot.account_id == call.account.id:
            return bot
    actor = call.actor
    return actor if isinstance(actor, AgentBot) else access.require_user(actor)


def _content_attributes(
    call: Call, row: Conversation, values: Mapping[str, object], private: bool
) -> Attributes | None:
    """Return the posted attributes. A mail inbox adds addressees and rendered bodies."""
    posted = values.get("content_attributes")
    kept: Attributes = dict(posted) if isinstance(posted, dict) else call.attributes("content_attributes")
    if values.get("external_created_at") is not None:
        kept["external_created_at"] = values["external_created_at"]
    if row.inbox.channel_type == "Channel::Email" and values.get("message_type") != "incoming":
        kept |= {name: _addresses(values.get(name)) for name in ("cc_emails", "bcc_emails", "to_emails")}
        if not private and not call.files:
            kept["email"] = _mail_bodies(str(values.get("content") or ""), values.get("email_html_content"))
    return kept


def _additional_attributes(values: Mapping[str, object]) -> Attributes | None:
    template = values.get("template_params")
    return None if template is None else {"template_params": template}


def _addresses(value: object) -> list[str]:
    found = [part.strip() for part in str(value or "").split(",") if part.strip()]
    if not all(ADDRESS.fullmatch(part) for part in found):
        raise rule_violation("Invalid email address")
    return found


def _mail_bodies(content: str, rich: object) -> Attributes:
    paragraphs = "".join(f"<p>{html.escape(part, quote=False)}</p>\n" for part in content.split("\n\n"))
    body = paragraphs if rich is None else str(rich)
    return {
        "html_content": {"full": body, "reply": body},
        "text_content": {"full": content, "reply": content},
    }


def _attachment(call: Call, filename: str, content_type: str, data: bytes) -> Attachment:
    kind = content_type.partition("/")[0]
    return Attachment(
        id=call.installation.attachment_ids.take(),
        file_type=kind if kind in FILE_TYPES else "file",
        created_at=call.installation.now(),
        filename=filename,
        content_type=content_type,
        file_size=len(data),
        data=data,
    )
