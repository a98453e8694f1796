"""Mail attributes of sample messages: headers, bodies and the quoted thread under a reply."""

import html
from datetime import UTC, datetime
from typing import cast

from proofdesk_simulators.chatwoot.records import INCOMING, OUTGOING, Attributes, Conversation, Message

DOMAIN = "kestrel.example.com"
MAILBOX = f"hello@{DOMAIN}"
QUOTE_HEADS = {
    "de": "Am {date:%d.%m.%Y} um {date:%H:%M} schrieb Kestrel Studio <{mailbox}>:",
    "fr": "Le {date:%d/%m/%Y} à {date:%H:%M}, Kestrel Studio <{mailbox}> a écrit :",
    "es": "El {date:%d/%m/%Y} a las {date:%H:%M}, Kestrel Studio <{mailbox}> escribió:",
    "ru": "{date:%d.%m.%Y} в {date:%H:%M}, Kestrel Studio <{mailbox}> написал(а):",
    "pt": "Em {date:%d/%m/%Y} às {date:%H:%M}, Kestrel Studio <{mailbox}> escreveu:",
}
ENGLISH_HEAD = "On {date:%d %b %Y} at {date:%H:%M}, Kestrel Studio <{mailbox}> wrote:"


def origin(subject: str, at: datetime) -> Attributes:
    """Return the `additional_attributes` of a conversation that started with a mail."""
    return {
        "source": "email",
        "in_reply_to": None,
        "auto_reply": False,
        "mail_subject": subject,
        "initiated_at": {"timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")},
    }


def receive_mail(message: Message, subject: str, headers: dict[str, str]) -> None:
    """Add the attributes of a mail with these headers to an incoming message.

    `auto_reply` is what `auto_reply?` of Chatwoot's `app/presenters/mail_presenter.rb` makes of them: an
    `Auto-Submitted` that is not `no`, or `X-Autoreply: yes`. Other headers are not stored. The mail that begins a
    conversation leaves its flag there too (`app/mailboxes/mailbox_helper.rb`).
    """
    _receive(message, subject, "en")
    given = {name.lower(): value for name, value in headers.items()}
    automatic = given.get("auto-submitted", "no") != "no" or given.get("x-autoreply") == "yes"
    changed: Attributes = {"auto_reply": automatic, "subject": subject}
    changed |= {"content_type": given["content-type"]} if "content-type" in given else {}
    changed |= {"from": [given["from"].lower()]} if "from" in given else {}
    attributes = message.content_attributes or {}
    attributes["email"] = cast(Attributes, attributes["email"]) | changed
    if message is message.conversation.messages[0]:
        began = origin(subject, datetime.fromtimestamp(message.created_at, UTC))
        message.conversation.additional_attributes |= began | {"auto_reply": automatic}


def add_mail_attributes(message: Message, subject: str, language: str) -> None:
    """Add the attributes that Chatwoot stores with a message of a mail inbox."""
    if message.message_type == INCOMING:
        _receive(message, subject, language)
    elif message.message_type == OUTGOING and not message.private:
        _send(message)


def _receive(message: Message, subject: str, language: str) -> None:
    answered = _last_public(message.conversation)
    new = message.content or ""
    whole = new if answered is None else f"{new}\n\n{_quote(answered, language)}"
    message_id = f"mail-{message.conversation.id}-{message.id}@mail.example.org"
    references = [m.source_id for m in message.conversation.messages if m.source_id]
    message.content, message.content_type, message.source_id = whole, "incoming_email", message_id
    email: Attributes = {
        "bcc": None,
        "cc": None,
        "content_type": f'multipart/alternative; boundary="kestrel{message.id}"',
        "date": datetime.fromtimestamp(message.created_at, UTC).isoformat(timespec="milliseconds"),
        "from": [message.conversation.contact.email],
        "headers": None,
        "html_content": {"full": _html(new, answered, language), "reply": whole, "quoted": new},
        "in_reply_to": answered.source_id if answered else None,
        "message_id": message_id,
        "multipart": True,
        "number_of_attachments": len(message.attachments or []),
        "references": references,
        "subject": f"Re: {subject}" if answered else subject,
        "text_content": {"full": whole, "reply": whole, "quoted": new},
        "to": [MAILBOX],
        "auto_reply": False,
    }
    attributes: Attributes = {"email": email, "cc_email": None, "bcc_email": None}
    message.content_attributes = attributes | (message.content_attributes or {})


def _send(message: Message) -> None:
    text = message.content or ""
    body = _paragraphs(text)
    message.source_id = f"conversation/{message.conversation.uuid}/messages/{message.id}@{DOMAIN}"
    attributes: Attributes = {"cc_emails": [], "bcc_emails": [], "to_emails": []}
    attributes["email"] = {
        "html_content": {"full": body, "reply": body},
        "text_content": {"full": text, "reply": text},
    }
    message.content_attributes = attributes | (message.content_attributes or {})


def _last_public(conversation: Conversation) -> Message | None:
    replies = (m for m in reversed(conversation.messages) if m.message_type == OUTGOING and not m.private)
    return next((m for m in replies if not m.deleted), None)


def _quote(answered: Message, language: str) -> str:
    lines = (answered.content or "").splitlines()
    return "\n".join([_head(answered, language), *(f"> {line}".rstrip() for line in lines)])


def _head(answered: Message, language: str) -> str:
    date = datetime.fromtimestamp(answered.created_at, UTC)
    return QUOTE_HEADS.get(language, ENGLISH_HEAD).format(date=date, mailbox=MAILBOX)


def _html(new: str, answered: Message | None, language: str) -> str:
    if answered is None:
        return f"<html><body>{_paragraphs(new)}</body></html>"
    head = html.escape(_head(answered, language))
    quoted = _paragraphs(answered.content or "")
    return f'<div dir="ltr">{_paragraphs(new)}</div><div>{head}<blockquote>{quoted}</blockquote></div>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{html.escape(part, quote=False)}</p>\n" for part in text.split("\n\n"))
