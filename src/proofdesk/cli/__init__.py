"""The door of the terminal: `proofdesk …`."""

import importlib
import io
import os
import sys
from typing import Annotated

import typer

from proofdesk import __version__
from proofdesk.cli import failure

app = typer.Typer(
    name="proofdesk",
    help="Chatwoot conversations as searchable evidence, and governed outbound messages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


_ROOMS = {
    "demo": "demo",
    "serve": "server",
    "up": "server",
    "sync": "jobs",
    "reconcile": "jobs",
    "embed": "jobs",
    "tick": "jobs",
    "worker": "jobs",
    "search": "search",
    "project": "projects",
    "source": "projects",
    "user": "users",
    "telegram": "telegram",
    "audit": "audit",
    "backup": "backup",
    "restore": "backup",
    "outbound": "outbound",
    "policy": "policies",
    "doctor": "doctor",
    "migrate": "setup",
    "config": "setup",
    "simulate": "simulate",
}
"""Where each command is: reading the others takes about as long as most commands do."""


def load(command: str | None = None) -> typer.Typer:
    """The application with that command, and some beside it; with every command when there is none of that name."""
    rooms = [_ROOMS[command]] if command in _ROOMS else dict.fromkeys(_ROOMS.values())
    if command == "--version":
        return app
    for room in rooms:
        importlib.import_module(f"proofdesk.cli.{room}")
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"proofdesk {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    # Without this an application that has one command only would not ask for its name.
    pass


def main() -> None:
    """Run a command. Exit status: 0 done, 1 failed, 2 wrong usage."""
    _print_in_any_encoding()
    try:
        load(sys.argv[1] if len(sys.argv) > 1 else None)
        status = app(prog_name="proofdesk", standalone_mode=False) or 0
        sys.stdout.flush()
    except Exception as error:
        status = failure.report_error(error)
    except KeyboardInterrupt as error:
        status = failure.report_error(error)
    _drop_what_cannot_be_written()
    sys.exit(status)


def _print_in_any_encoding() -> None:
    """Names of customers hold letters that a terminal may not have: those are replaced."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_what_cannot_be_written() -> None:
    """A full disk or a closed pipe was reported: Python would try again when it ends, and print a stack."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
