"""The door of the terminal: `proofdesk …`."""

import importlib
import sys

import typer

from proofdesk.errors import ProofdeskError

app = typer.Typer(
    name="proofdesk",
    help="Chatwoot conversations as searchable evidence, and governed outbound messages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


_ROOMS = (
    "demo", "server", "jobs", "search", "projects", "users", "telegram", "audit", "backup", "outbound", "policies",
    "doctor", "setup", "simulate",
)  # fmt: skip


def load() -> typer.Typer:
    """The application with every command."""
    for room in _ROOMS:
        importlib.import_module(f"proofdesk.cli.{room}")
    return app


def main() -> None:
    """Run a command. Exit status: 0 done, 1 failed, 2 wrong usage."""
    load()
    try:
        app()
    except ProofdeskError as error:
        typer.echo(f"proofdesk: {error.message}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
