"""How a failed command reports its error: one line on standard error that says what to do, without a traceback."""

import errno
import os
import sys
import traceback
from typing import Any

import psycopg

from proofdesk.cli import output
from proofdesk.core import redaction
from proofdesk.database import errors
from proofdesk.errors import ProofdeskError

MAX_LINE_LENGTH = 300
"""Characters of a line about an unexpected error."""
_ADVICE = {
    errno.ENOSPC: "The disk is full. Free some space and try again",
    errno.EDQUOT: "The disk quota is used up. Free some space and try again",
    errno.EROFS: "The file system is read-only. Use a folder that is writable",
    errno.EACCES: "Permission denied. Use another folder, or run the command as its owner",
    errno.EPERM: "Permission denied. Use another folder, or run the command as its owner",
    errno.EMFILE: "Too many open files. Raise the limit (`ulimit -n`)",
}


def report_error(error: BaseException) -> int:
    """Print an error and return the exit status: 1 failed, 2 wrong usage, 130 interrupted."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError):  # the reader of the output has closed it
        return 1
    if hasattr(error, "format_message"):
        return _report_usage(error)
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return report_error(error.exceptions[0])
    if os.environ.get("LOG_LEVEL", "").lower() == "debug":
        _print(redaction.redact_text("".join(traceback.format_exception(error))).rstrip())
    _print(f"proofdesk: {redaction.redact_text(_message(error))}")
    return 1


def _message(error: BaseException) -> str:
    match error:
        case ProofdeskError():
            return _sentence(error.message.strip())
        case OSError() if error.errno in _ADVICE:
            where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
            return _line(f"{_ADVICE[error.errno]}{where}")
        case OSError():
            return _line(str(error))
        case psycopg.Error():
            unavailable = errors.classify(error)
            return _line(unavailable.message if unavailable else f"The database failed: {error}")
        case UnicodeEncodeError() if any(not argument.isprintable() for argument in sys.argv):
            return "An argument is not valid UTF-8. Encode it in UTF-8, or set the terminal's locale to its encoding."
        case _:
            text = _line(f"Unexpected {type(error).__name__}: {error}", MAX_LINE_LENGTH - 60)
            return f"{text} Set LOG_LEVEL=debug to see where."


def _report_usage(error: Any) -> int:
    """Print what is wrong with the usage. A group without a command has printed its help already."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ != "NoArgsIsHelpError":
        command = context.command_path if context else "proofdesk"
        message = _line(f"proofdesk: {error.format_message()}", MAX_LINE_LENGTH - 60)
        _print(f"{message} See `{command} --help`.")
    return error.exit_code


def _line(text: str, max_length: int = MAX_LINE_LENGTH) -> str:
    """Return the text as one line that ends like a sentence."""
    text = " ".join(text.split())
    text = text if len(text) <= max_length else f"{text[: max_length - 1]}…"
    return _sentence(text)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…", "?", "!")) else f"{text}."


def _print(text: str) -> None:
    sys.stderr.write(f"{output.printable(text)}\n")
    sys.stderr.flush()
