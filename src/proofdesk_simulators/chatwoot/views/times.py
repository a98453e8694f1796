"""The four spellings of an instant that Chatwoot uses."""

from datetime import UTC, datetime


def seconds(at: float) -> int:
    """Integer seconds; 0 stands for "never"."""
    return int(at)


def iso(at: float | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and Z; None for "never"."""
    if not at:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
