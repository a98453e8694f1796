"""Output of commands: tables for people, JSON for programs."""

import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from proofdesk.core import bidi

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ProjectOption = Annotated[
    str | None, typer.Option("--project", "-p", help="Name or id of the project. Optional if there is only one.")
]

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed

console = Console(highlight=False, markup=False)
progress_console = Console(stderr=True, highlight=False, markup=False)


def print_note(text: str) -> None:
    """Print a note for a person on standard error, apart from the output of the command."""
    progress_console.print(printable(text), soft_wrap=True)


def print_line(text: str, style: str | None = None) -> None:
    """Print a line of output."""
    console.print(printable(text), style=style, soft_wrap=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table. Columns of numbers are aligned right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        is_numeric = bool(rows) and all(isinstance(row[number], int | float) for row in rows)
        table.add_column(heading, justify="right" if is_numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def print_json(value: Any) -> None:
    """Print JSON for programs."""
    # Without UTF-8, other characters are escaped so that none is lost.
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(bidi.as_escapes(json.dumps(value, default=_plain, ensure_ascii=not is_utf8, indent=2)))


def printable(text: str) -> str:
    """Return the text without characters that reorder the line or control the terminal."""
    return _CONTROLS.sub("", bidi.without_formatting(text))


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 event`, `2 events`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return printable(str(value))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)
