"""A message as e-mail: headers, a plain and an HTML part, and the way out (RFC 8058)."""

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
_IN_ONE_PIECE = {"list-unsubscribe", "message-id"}
_LINE_BREAKING = {
    "Cc",
    "Zl",
    "Zp",
}  # control characters, U+2028 and U+2029: what some program may take for a line's end


class _Policy(EmailPolicy):
    """The standard library would write a link that is longer than a line in encoded words, which mail programs do not
    read there."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() in _IN_ONE_PIECE:
            return f"{name}: {value}\r\n".encode("ascii")
        return super().fold_binary(name, value)


_POLICY = _Policy(linesep="\r\n")


def check_payload(payload: dict[str, Any]) -> dict[str, Any]:
    """`{"subject", "text", "html"?, "reply_to"?}`; without a subject it is the beginning of the text.

    Raises `InvalidPayload`.
    """
    text = payloads.check_text(payload, MAX_TEXT_LENGTH)
    subject = payloads.check_optional_text(payload, "subject", MAX_SUBJECT_LENGTH)
    found = {"subject": _one_line(subject, "subject") if subject else _beginning(text), "text": text}
    if rich := payloads.check_optional_text(payload, "html", MAX_TEXT_LENGTH):
        found["html"] = rich
    if reply_to := payloads.check_optional_text(payload, "reply_to", 320):
        try:
            found["reply_to"] = address.parse_address(reply_to).shown
        except NotAnAddress as error:
            raise InvalidPayload(
                f"`reply_to` is not an e-mail address: {error}", details={"field": "reply_to"}
            ) from None
    return found


def compose(
    message: ChannelMessage, sender: Address, to: Mailbox, unsubscribe_url: str | None, *, in_utf8: bool
) -> EmailMessage:
    """The letter. Every header is set through the mail library, which folds and encodes, and refuses line ends."""
    payload = message.payload
    letter = EmailMessage(_POLICY.clone(utf8=in_utf8))
    letter["From"] = Address(bidi.without_formatting(sender.display_name), addr_spec=sender.addr_spec)
    letter["To"] = to.sent
    letter["Subject"] = bidi.without_formatting(payload["subject"])
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = format_message_id(message, sender)
    if "reply_to" in payload:
        letter["Reply-To"] = address.parse_address(payload["reply_to"]).sent
    if unsubscribe_url is not None:
        letter["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        if unsubscribe_url.startswith("https://"):
            letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    letter.set_content(payload["text"], cte="quoted-printable")
    letter.add_alternative(payload.get("html") or _as_html(payload["text"]), subtype="html", cte="quoted-printable")
    return letter


def reply_to_needs_utf8(message: ChannelMessage) -> bool:
    """Whether the address for answers has letters beyond ASCII before the @."""
    return "reply_to" in message.payload and address.parse_address(message.payload["reply_to"]).needs_utf8


def format_message_id(message: ChannelMessage, sender: Address) -> str:
    """The same at every attempt, so that a mailbox can tell a second copy."""
    return f"<{message.key}@{sender.domain}>"


def _one_line(text: str, name: str) -> str:
    if any(unicodedata.category(c) in _LINE_BREAKING for c in text):
        raise InvalidPayload(f"`{name}` is one line without control characters.", details={"field": name})
    return text.strip()


def _beginning(text: str) -> str:
    first = text.strip().splitlines()[0]
    words = "".join(" " if unicodedata.category(c) in _LINE_BREAKING else c for c in first)
    return words if len(words) <= 70 else words[:69].rstrip() + "…"


def _as_html(text: str) -> str:
    paragraphs = html.escape(text.strip()).replace("\r\n", "\n").split("\n\n")
    body = "\n".join(
        '<p dir="auto">' + paragraph.strip("\n").replace("\n", "<br>\n") + "</p>" for paragraph in paragraphs
    )
    return f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>\n{body}\n</body></html>\n'
