"""A command imports only the module that it needs."""

import subprocess
import sys

from proofdesk.cli import _MODULES, load


def test_the_table_names_the_module_of_every_command():
    app = load()
    callbacks = {command.name or _name(command.callback): command.callback for command in app.registered_commands}
    for group in app.registered_groups:
        assert group.name and group.typer_instance
        callbacks[group.name] = group.typer_instance.registered_commands[0].callback
    assert {name: function.__module__ for name, function in callbacks.items()} == {
        name: f"proofdesk.cli.{module}" for name, module in _MODULES.items()
    }


def test_only_the_module_of_the_command_is_imported():
    assert _imported_modules("config") == {"setup"}
    assert _imported_modules("nonsense") == set(_MODULES.values())


def _name(function) -> str:
    return function.__name__.replace("_", "-")


def _imported_modules(command: str) -> set[str]:
    program = f"import sys; from proofdesk.cli import load; load({command!r}); print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    return {module for module in _MODULES.values() if f"proofdesk.cli.{module}" in imported}
