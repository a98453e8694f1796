"""What a person sees of a command that failed: one line on standard error that says what to do, and no stack."""

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

LONGEST = 300
"""Characters of a line about something that nobody foresaw."""
_ADVICE = {
    errno.ENOSPC: "The disk is full; free some space and try again",
    errno.EDQUOT: "The disk quota is used up; free some space and try again",
    errno.EROFS: "The file system is read-only; use a folder that can be written",
    errno.EACCES: "No permission; use another folder, or the user to whom it belongs",
    errno.EPERM: "No permission; use another folder, or the user to whom it belongs",
    errno.EMFILE: "Too many open files; raise the limit (`ulimit -n`)",
}


def report_error(error: BaseException) -> int:
    """Print what went wrong and return the exit status: 1 failed, 2 wrong usage, 130 interrupted."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError):  # whoever read the output has seen enough
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
            return "An argument is not text in UTF-8. Write it in UTF-8, or set the locale of the terminal to its own."
        case _:
            what = _line(f"Unexpected {type(error).__name__}: {error}", LONGEST - 60)
            return f"{what} Set LOG_LEVEL=debug to see where."


def _report_usage(error: Any) -> int:
    """Tell of wrong usage; a group without a command has shown its help by now."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ != "NoArgsIsHelpError":
        command = context.command_path if context else "proofdesk"
        _print(_line(f"proofdesk: {error.format_message()}", LONGEST - 60) + f" See `{command} --help`.")
    return error.exit_code


def _line(text: str, longest: int = LONGEST) -> str:
    """The text in one line that ends like a sentence."""
    text = " ".join(text.split())
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return _sentence(text)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "…", "?", "!")) else f"{text}."


def _print(text: str) -> None:
    sys.stderr.write(f"{output.printable(text)}\n")
    sys.stderr.flush()
