"""Keeps secrets out of what is printed and logged: the values that settings hold, and credentials in addresses."""

from collections.abc import Iterable
from typing import Any

from proofdesk.core import urls

MIN_LENGTH = 6
"""A shorter secret would blacken words that hold it by chance."""
_MASK = "********"
_secrets: set[str] = set()
_longest_first: list[str] = []


def register_secrets(values: Iterable[str]) -> None:
    """Take these out of everything from now on, and the passwords of those that are addresses."""
    for value in values:
        _secrets.update(word for word in (value, value.strip(), *urls.passwords(value)) if len(word) >= MIN_LENGTH)
    _longest_first[:] = sorted(_secrets, key=len, reverse=True)


def redact_text(text: str) -> str:
    """Return the text without secrets."""
    for secret in _longest_first:
        if secret in text:
            text = text.replace(secret, _MASK)
    return urls.masked(text) if "@" in text else text


def redact_value(value: Any) -> Any:
    """Return a value of a log line without secrets, however deep they stand in it."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {key: redact_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(inner) for inner in value]
    return value
