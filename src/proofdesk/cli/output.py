"""How commands talk: tables for people, JSON for programs."""

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

JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
ProjectOption = Annotated[str | None, typer.Option("--project", "-p", help="Name or id; the only one if there is one.")]

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed

console = Console(highlight=False, markup=False)
progress_console = Console(stderr=True, highlight=False, markup=False)


def print_note(text: str) -> None:
    """Tell a person something; never mixed with the output of a program."""
    progress_console.print(printable(text), soft_wrap=True)


def print_line(text: str, style: str | None = None) -> None:
    """A line of output."""
    console.print(printable(text), style=style, soft_wrap=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table of output; numbers stand on the right."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        right = bool(rows) and all(isinstance(row[number], int | float) for row in rows)
        made.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    console.print(made)


def print_json(value: Any) -> None:
    """The output for programs."""
    in_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"  # else escaped, so that nothing is lost
    typer.echo(bidi.as_escapes(json.dumps(value, default=_plain, ensure_ascii=not in_unicode, indent=2)))


def printable(text: str) -> str:
    """The text as a terminal may get it: without what reorders the line or controls the terminal."""
    return _CONTROLS.sub("", bidi.without_formatting(text))


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
