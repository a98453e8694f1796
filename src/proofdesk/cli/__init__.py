"""The command line: `proofdesk …`."""

import importlib
import io
import os
import sys
from typing import Annotated

import typer

from proofdesk import __version__
from proofdesk.cli import errors

app = typer.Typer(
    name="proofdesk",
    help="Search Chatwoot conversations as evidence, and send approved messages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


_MODULES = {
    "demo": "demo",
    "serve": "server",
    "up": "server",
    "sync": "jobs",
    "reconcile": "jobs",
    "embed": "jobs",
    "chunk": "chunks",
    "tick": "jobs",
    "worker": "jobs",
    "search": "search",
    "ask": "answers",
    "commitments": "commitments",
    "project": "projects",
    "source": "projects",
    "user": "users",
    "telegram": "telegram",
    "audit": "audit",
    "backup": "backup",
    "restore": "backup",
    "outbound": "outbound",
    "policy": "policies",
    "kill-switch": "kill_switch",
    "suppression": "suppressions",
    "doctor": "doctor",
    "incidents": "incidents",
    "migrate": "setup",
    "config": "setup",
    "simulate": "simulate",
}
"""The module of each command. Importing all modules takes about as long as most commands run."""


def load(command: str | None = None) -> typer.Typer:
    """Return the application with the modules that a command needs; with all of them for an unknown command."""
    if command == "--version":
        return app
    modules = [_MODULES[command]] if command in _MODULES else dict.fromkeys(_MODULES.values())
    for module in modules:
        importlib.import_module(f"proofdesk.cli.{module}")
    return app


def _show_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"proofdesk {__version__}")
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    # Without a callback, an application with one command would not expect that command's name.
    pass


def main() -> None:
    """Run a command. Exit status: 0 done, 1 failed, 2 wrong usage."""
    _replace_unencodable_characters()
    try:
        load(sys.argv[1] if len(sys.argv) > 1 else None)
        status = app(prog_name="proofdesk", standalone_mode=False) or 0
        sys.stdout.flush()
    except Exception as error:
        status = errors.report_error(error)
    except KeyboardInterrupt as error:
        status = errors.report_error(error)
    _discard_unwritable_output()
    sys.exit(status)


def _replace_unencodable_characters() -> None:
    """Replace characters that the terminal's encoding lacks: names of customers may contain any letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _discard_unwritable_output() -> None:
    """Discard buffered output after a full disk or a closed pipe, or Python would fail again when it exits."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
