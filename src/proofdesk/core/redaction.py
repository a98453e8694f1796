"""Removal of secrets from output and logs: the values of secret settings, and credentials in addresses."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from proofdesk.core import urls

MIN_LENGTH = 6
"""Shortest secret that is removed: a shorter one would match ordinary words."""
_MASK = "********"
_MAX_SHOWN = 80  # characters of a wrong value
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
    return urls.masked(text) if "@" in text or "=" in text else text


def redact_value(value: Any) -> Any:
    """Return a value of a log line without secrets, at any depth."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {key: redact_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(inner) for inner in value]
    return value


def mask_setting(value: object) -> object:
    """Return the value of a setting, masked if it is secret, and without credentials in addresses."""
    if isinstance(value, SecretStr):
        return _MASK
    return urls.masked(str(value)) if isinstance(value, Path | str) else value


def describe_wrong_value(variable: str, value: object, allowed: str, *, secret: bool) -> str:
    """Return one line: the variable, its value (masked if secret) and what is allowed."""
    text = urls.masked_setting(str(value)) if variable.endswith(("_URL", "_ORIGIN")) else urls.masked(str(value))
    shown = _MASK if secret else repr(text)
    shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"
    allowed = urls.masked(allowed.removeprefix("Value error, "))
    return f"{variable}={shown}: {allowed[:1].lower()}{allowed[1:]}."
