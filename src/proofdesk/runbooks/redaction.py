"""Redaction of evidence: removes secrets and personal data."""

import dataclasses
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from proofdesk.core import urls
from proofdesk.runbooks.queries import PersonalText
from proofdesk.settings import Settings

# Fields that are redacted by name, whatever their value.
_SECRETS = re.compile(
    r"token$|secret|password|passwd|authorization|^(set-)?cookie$|_hash$|^pin$|api_?key|^database_url$"
)
_PEOPLE = re.compile(
    r"^((user|actor|sender|contact|assignee|first|last|display|available)_?)?name$"
    r"|(^|_)(username|email|phone|phone_number|identifier|chat_id|telegram_id|recipient_ref|address|to|cc|bcc)$"
)
_TEXTS = re.compile(r"(^|_)(content|text|snippet|subject|body|html|question|query)$")
# Values that are redacted by form, in any text.
_PATTERNS = (
    (re.compile(r"(?<=://)[^/@\s]+@"), "…@"),
    (re.compile(r"\bBearer\s+\S+", re.IGNORECASE), "Bearer …"),
    (re.compile(r"\b\d{6,}:[A-Za-z0-9_-]{10,}"), "[token]"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{4,}"), "[token]"),
    (re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{24,}"), "[token]"),
    (re.compile(r"\b(PIN|code)\b\W{0,3}\d{4,8}\b", re.IGNORECASE), r"\1 …"),
    (re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)+"), "[e-mail]"),
    (re.compile(r"(?<![\w-])(\+|00)\d[\d\s().-]{6,}\d"), "[phone]"),
    (re.compile(r"""(?<!\w)(["'“«‘])[^"'”»’]{20,}(["'”»’])(?!\w)"""), r"\1…\2"),
)
_ADDRESS = re.compile(r"(?<![\w.:])[0-9a-fA-F:.]{7,}(?![\w:])")


class Redactor:
    """Redacts secrets, personal data by form, and the `personal_texts` that occur in the report."""

    def __init__(self, settings: Settings, personal_texts: Iterable[PersonalText] = ()):
        values = [getattr(settings, name) for name in Settings.model_fields]
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        addresses = [*secrets, *(value for value in values if isinstance(value, str))]
        secrets += [word for address in addresses for word in urls.passwords(address)]
        self._secrets = sorted((s for s in secrets if len(s) > 3), key=len, reverse=True)
        longest_first = sorted(personal_texts, key=lambda t: len(t.word), reverse=True)
        self._names = [
            re.compile(rf"(?<!\w){re.escape(t.word)}(?!\w)", re.IGNORECASE) for t in longest_first if not t.is_text
        ]
        self._texts = [t.word for t in longest_first if t.is_text]

    def redact_value(self, value: Any, name: str = "") -> Any:
        """Return the value as redacted JSON."""
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, dict):
            return {str(key): self.redact_value(inner, str(key).lower()) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.redact_value(inner, name) for inner in value]
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if value is None or isinstance(value, bool | float):
            return value
        return self._named(value, name)

    def redact_text(self, text: str) -> str:
        """Return the text with secrets and personal data replaced."""
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        for beginning in self._texts:
            text = text.partition(beginning)[0] + "[text]" if beginning in text else text
        for name in self._names:
            text = name.sub("[name]", text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return _ADDRESS.sub(_truncate_address, text)

    def _named(self, value: Any, name: str) -> Any:
        if _SECRETS.search(name):
            return "[secret]"
        if _PEOPLE.search(name) and not isinstance(value, UUID):
            return "[person]" if value != "" else value
        if isinstance(value, str) and _TEXTS.search(name):
            return f"[text of {len(value)} characters]"
        return value if isinstance(value, int) else self.redact_text(str(value))


def iterate_strings(value: Any) -> Iterable[str]:
    """Yield every string in a value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for inner in value.values() for text in iterate_strings(inner))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (text for inner in value for text in iterate_strings(inner))


def _truncate_address(match: re.Match[str]) -> str:
    """Return an IP address without its last part. Loopback addresses identify nobody and stay."""
    try:
        address = ip_address(match[0])
    except ValueError:
        return match[0]
    if address.is_loopback:
        return match[0]
    return f"{match[0].rpartition('.')[0]}.x" if address.version == 4 else f"{':'.join(match[0].split(':')[:3])}::x"
