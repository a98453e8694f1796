"""`backup` and `restore`: the whole database in one file."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from proofdesk import settings
from proofdesk.cli import app, machine, output
from proofdesk.database import backup as dumps
from proofdesk.database import embedded
from proofdesk.errors import Invalid


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="File to write; kept as it was if this fails.")]) -> None:
    """Write everything to one file: a consistent snapshot, while others go on working. Keep it as safe as the data."""
    _check_target(file)
    with _database() as url:
        dumps.dump(url, file)
    output.print_note(f"Wrote {file} ({file.stat().st_size / 1024**2:.1f} MB).")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="File that `backup` wrote.", exists=True, dir_okay=False, readable=True)],
) -> None:
    """Fill an empty database, and bring it up to date: also the way from the embedded database to a server."""
    with _database() as url:
        dumps.restore(url, file)
    with machine.prepared_database():
        output.print_note("Restored. `proofdesk audit verify` proves that the record of what was done is whole.")


def _check_target(file: Path) -> None:
    """Raise `Invalid` when no file can be written there, before the database is started."""
    folder = file.absolute().parent
    if file.is_dir():
        raise Invalid(f"{file} is a folder. Name a file in it, such as {file / 'proofdesk.zip'}.")
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}. Make it (`mkdir -p`), or name a file in another one.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Invalid(f"The folder {folder} cannot be written. Name a file in another one.")


@contextlib.contextmanager
def _database() -> Iterator[str]:
    """The URL of the database as it is: nothing is migrated."""
    loaded = settings.load()
    if loaded.database_url is not None:
        yield loaded.database_url.get_secret_value()
        return
    with embedded.running_server(loaded.proofdesk_home) as url:
        yield url
