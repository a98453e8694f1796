"""Texts of payloads, validated the same way for all channels."""

from collections.abc import Callable
from typing import Any

from proofdesk.outbound.channels.interface import InvalidPayload
from proofdesk.outbound.channels.invisible import looks_empty

_TEXT_NAMES = ("text", "content", "body")  # clients of a single channel often use its own name for the text


def check_text(payload: dict[str, Any], max_length: int, measure: Callable[[str], int] = len) -> str:
    """Return the text of a message. Raises `InvalidPayload` when it is missing, empty or too long."""
    name = next((name for name in _TEXT_NAMES if payload.get(name) is not None), None)
    if name is None:
        raise InvalidPayload("`payload.text` is required.", details={"field": "text"})
    return check_string(payload[name], name, max_length, measure)


def check_optional_text(payload: dict[str, Any], name: str, max_length: int) -> str | None:
    """Return another text of the payload, None when it is left out. Raises `InvalidPayload`."""
    return None if payload.get(name) in (None, "") else check_string(payload[name], name, max_length)


def check_string(value: Any, name: str, max_length: int, measure: Callable[[str], int] = len) -> str:
    """Return the value if it is a visible text that can be stored and is not too long. Raises `InvalidPayload`.

    `measure` returns the length of a text as the channel counts it.
    """
    problem = ""
    if not isinstance(value, str):
        problem = "must be a string"
    elif looks_empty(value):
        problem = "must not be empty: it has only spaces and invisible characters"
    elif measure(value) > max_length:
        problem = f"must have at most {max_length} characters; it has {measure(value)}"
    elif "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        problem = "must not contain NUL or half of a surrogate pair"
    if problem:
        raise InvalidPayload(f"`{name}` {problem}.", details={"field": name})
    return value


def count_utf16(text: str) -> int:
    """Return the number of UTF-16 code units of a text; a character beyond U+FFFF has two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
