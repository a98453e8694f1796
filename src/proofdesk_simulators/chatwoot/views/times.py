"""The formats of times that Chatwoot uses."""

from datetime import UTC, datetime


def seconds(at: float) -> int:
    """Return integer seconds; 0 means "never"."""
    return int(at)


def iso(at: float | None) -> str | None:
    """Return ISO 8601 in UTC with milliseconds and Z, or None for "never"."""
    if not at:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
