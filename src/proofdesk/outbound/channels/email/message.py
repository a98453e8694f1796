"""A message as e-mail: headers, a plain and an HTML part, and the unsubscribe link (RFC 8058)."""

import html
import unicodedata
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import Any

from proofdesk.core import bidi
from proofdesk.outbound.channels import payloads
from proofdesk.outbound.channels.email import address
from proofdesk.outbound.channels.email.address import Mailbox, NotAnAddress
from proofdesk.outbound.channels.interface import ChannelMessage, InvalidPayload

MAX_TEXT_LENGTH = 100_000
MAX_SUBJECT_LENGTH = 250
MAX_ADDRESS_LENGTH = 320
_MAX_DERIVED_SUBJECT_LENGTH = 70
_UNFOLDED_HEADERS = {"list-unsubscribe", "message-id"}
# Control characters, U+2028 and U+2029: what some program may read as the end of a line.
_LINE_BREAKING = {"Cc", "Zl", "Zp"}


class _Policy(EmailPolicy):
    """Keeps links whole: the standard library would write a long link in encoded words, which mail programs ignore."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _UNFOLDED_HEADERS:
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


_POLICY = _Policy(linesep="\r\n")


def check_payload(payload: dict[str, Any]) -> dict[str, Any]:
    """Return `{"subject", "text", "html"?, "reply_to"?}`. Without a subject, the text's first line is the subject.

    Raises `InvalidPayload`.
    """
    text = payloads.check_text(payload, MAX_TEXT_LENGTH)
    subject = payloads.check_optional_text(payload, "subject", MAX_SUBJECT_LENGTH)
    checked = {"subject": _check_line(subject, "subject") if subject else _first_line(text), "text": text}
    if html_part := payloads.check_optional_text(payload, "html", MAX_TEXT_LENGTH):
        checked["html"] = html_part
    if reply_to := payloads.check_optional_text(payload, "reply_to", MAX_ADDRESS_LENGTH):
        try:
            checked["reply_to"] = address.parse_address(reply_to).shown
        except NotAnAddress as error:
            raise InvalidPayload(
                f"`reply_to` must be an e-mail address. {error}", details={"field": "reply_to"}
            ) from None
    return checked


def compose(
    message: ChannelMessage, sender: Address, to: Mailbox, unsubscribe_url: str | None, *, needs_utf8: bool
) -> EmailMessage:
    """Return the e-mail. The mail library folds and encodes all headers, and refuses line ends in them."""
    payload = message.payload
    email = EmailMessage(_POLICY.clone(utf8=needs_utf8))
    email["From"] = Address(bidi.without_formatting(sender.display_name), addr_spec=sender.addr_spec)
    email["To"] = to.sent
    email["Subject"] = bidi.without_formatting(payload["subject"])
    email["Date"] = format_datetime(datetime.now(UTC))
    email["Message-ID"] = format_message_id(message, sender)
    if "reply_to" in payload:
        email["Reply-To"] = address.parse_address(payload["reply_to"]).sent
    if unsubscribe_url is not None:
        email["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        if unsubscribe_url.startswith("https://"):
            email["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    email.set_content(payload["text"], cte="quoted-printable")
    email.add_alternative(payload.get("html") or _as_html(payload["text"]), subtype="html", cte="quoted-printable")
    return email


def reply_to_needs_utf8(message: ChannelMessage) -> bool:
    """Return whether the reply address has non-ASCII letters before the @."""
    return "reply_to" in message.payload and address.parse_address(message.payload["reply_to"]).needs_utf8


def format_message_id(message: ChannelMessage, sender: Address) -> str:
    """Return the Message-ID, the same at every attempt, so that a mailbox recognises a second copy."""
    return f"<{message.key}@{sender.domain}>"


def _check_line(text: str, name: str) -> str:
    if any(unicodedata.category(c) in _LINE_BREAKING for c in text):
        raise InvalidPayload(f"`{name}` must be one line without control characters.", details={"field": name})
    return text.strip()


def _first_line(text: str) -> str:
    line = text.strip().splitlines()[0]
    subject = "".join(" " if unicodedata.category(c) in _LINE_BREAKING else c for c in line)
    longest = _MAX_DERIVED_SUBJECT_LENGTH
    return subject if len(subject) <= longest else subject[: longest - 1].rstrip() + "…"


def _as_html(text: str) -> str:
    paragraphs = html.escape(text.strip()).replace("\r\n", "\n").split("\n\n")
    body = "\n".join(
        '<p dir="auto">' + paragraph.strip("\n").replace("\n", "<br>\n") + "</p>" for paragraph in paragraphs
    )
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>\n'
