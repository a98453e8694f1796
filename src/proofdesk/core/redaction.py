"""Removal of secrets from output and logs: the values of secret settings, and credentials in addresses."""

from collections.abc import Iterable
from typing import Any

from proofdesk.core import urls

MIN_LENGTH = 6
"""Shortest secret that is removed: a shorter one would match ordinary words."""
_MASK = "********"
_secrets: set[str] = set()
_longest_first: list[str] = []


def register_secrets(values: Iterable[str]) -> None:
    """Register values to remove, and the passwords in those that are addresses."""
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
    """Return a value of a log line without secrets, at any depth."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {key: redact_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(inner) for inner in value]
    return value
