"""A command starts without what only the others need."""

import subprocess
import sys

from proofdesk.cli import _ROOMS, load


def test_the_table_names_the_module_of_every_command():
    app = load()
    made = {command.name or _name(command.callback): command.callback for command in app.registered_commands}
    for group in app.registered_groups:
        assert group.name and group.typer_instance
        made[group.name] = group.typer_instance.registered_commands[0].callback
    assert {name: function.__module__ for name, function in made.items()} == {
        name: f"proofdesk.cli.{room}" for name, room in _ROOMS.items()
    }


def test_only_the_module_of_the_command_is_imported():
    assert _read("config") == {"setup"}
    assert _read("nonsense") == set(_ROOMS.values())


def _name(function) -> str:
    return function.__name__.replace("_", "-")


def _read(command: str) -> set[str]:
    program = f"import sys; from proofdesk.cli import load; load({command!r}); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    read = set(done.stdout.split())
    return {room for room in _ROOMS.values() if f"proofdesk.cli.{room}" in read}
