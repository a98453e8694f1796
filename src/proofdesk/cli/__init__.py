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
    for room in rooms:
        importlib.import_module(f"proofdesk.cli.{room}")
    return app


@app.callback()
def _group() -> None:
    # Without this an application that has one command only would not ask for its name.
    pass


def main() -> None:
    """Run a command. Exit status: 0 done, 1 failed, 2 wrong usage."""
    load(sys.argv[1] if len(sys.argv) > 1 else None)
    try:
        app()
    except ProofdeskError as error:
        typer.echo(f"proofdesk: {error.message}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
