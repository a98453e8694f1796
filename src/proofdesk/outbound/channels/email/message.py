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
from proofdesk.outbound.channels.interface import InvalidPayload, Message

LONGEST = 100_000
LONGEST_SUBJECT = 250
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


def checked(payload: dict[str, Any]) -> dict[str, Any]:
    """`{"subject", "text", "html"?, "reply_to"?}`; without a subject it is the beginning of the text.

    Raises `InvalidPayload`.
    """
    text = payloads.text(payload, LONGEST)
    subject = payloads.optional(payload, "subject", LONGEST_SUBJECT)
    found = {"subject": _one_line(subject, "subject") if subject else _beginning(text), "text": text}
    if rich := payloads.optional(payload, "html", LONGEST):
        found["html"] = rich
    if reply_to := payloads.optional(payload, "reply_to", 320):
        try:
            found["reply_to"] = address.parse(reply_to).shown
        except NotAnAddress as error:
            raise InvalidPayload(
                f"`reply_to` is not an e-mail address: {error}", details={"field": "reply_to"}
            ) from None
    return found


def written(
    message: Message, sender: Address, to: Mailbox, unsubscribe_url: str | None, *, in_utf8: bool
) -> EmailMessage:
    """The letter. Every header is set through the mail library, which folds and encodes, and refuses line ends."""
    payload = message.payload
    letter = EmailMessage(_POLICY.clone(utf8=in_utf8))
    letter["From"] = Address(bidi.without_formatting(sender.display_name), addr_spec=sender.addr_spec)
    letter["To"] = to.sent
    letter["Subject"] = bidi.without_formatting(payload["subject"])
    letter["Date"] = format_datetime(datetime.now(UTC))
    letter["Message-ID"] = message_id(message, sender)
    if "reply_to" in payload:
        letter["Reply-To"] = address.parse(payload["reply_to"]).sent
    if unsubscribe_url is not None:
        letter["List-Unsubscribe"] = f"<{unsubscribe_url}>"
        if unsubscribe_url.startswith("https://"):
            letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    letter.set_content(payload["text"], cte="quoted-printable")
    letter.add_alternative(payload.get("html") or _as_html(payload["text"]), subtype="html", cte="quoted-printable")
    return letter


def answers_in_utf8(message: Message) -> bool:
    """Whether the address for answers has letters beyond ASCII before the @."""
    return "reply_to" in message.payload and address.parse(message.payload["reply_to"]).needs_utf8


def message_id(message: Message, sender: Address) -> str:
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
