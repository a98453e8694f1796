"""Texts of payloads, checked the same way for all channels."""

from typing import Any

from proofdesk.outbound.channels.interface import InvalidPayload
from proofdesk.outbound.channels.invisible import looks_empty

_NAMES = ("text", "content", "body")  # what programs that talk to one channel only are used to calling it


def check_text(payload: dict[str, Any], longest: int) -> str:
    """The text of a message, as it goes out. Raises `InvalidPayload` when there is none or it is too long."""
    name = next((n for n in _NAMES if payload.get(n) is not None), None)
    if name is None:
        raise InvalidPayload("A payload has a `text`.", details={"field": "text"})
    return check_string(payload[name], name, longest)


def check_optional_text(payload: dict[str, Any], name: str, longest: int) -> str | None:
    """Another text of the payload, None when it is left out. Raises `InvalidPayload`."""
    return None if payload.get(name) in (None, "") else check_string(payload[name], name, longest)


def check_string(value: Any, name: str, longest: int) -> str:
    """The value, when it is a text that says something, can be stored, and is not too long. Raises `InvalidPayload`."""
    wrong = ""
    if not isinstance(value, str):
        wrong = "is a text"
    elif looks_empty(value):
        wrong = "must show something: it holds only spaces and invisible characters"
    elif len(value) > longest:
        wrong = f"has at most {longest} characters; this one has {len(value)}"
    elif "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        wrong = "has no NUL character and no half of a surrogate pair"
    if wrong:
        raise InvalidPayload(f"`{name}` {wrong}.", details={"field": name})
    return value
