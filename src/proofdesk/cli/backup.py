"""`backup` and `restore`: the whole database in one file."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from proofdesk import settings
from proofdesk.cli import app, environment, output
from proofdesk.database import backup as dumps
from proofdesk.database import embedded
from proofdesk.errors import Invalid, ProofdeskError


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="File to write. An existing file is replaced only on success.")],
) -> None:
    """Write the whole database to one file: a consistent snapshot, taken while Proofdesk runs. Keep the file secret."""
    try:
        _check_target(file)
    except Invalid as error:
        _record_refusal(error)
        raise
    with _database_url() as url, _recorded(url):
        dumps.dump(url, file)
    output.print_note(f"Wrote {file} ({file.stat().st_size / 1024**2:.1f} MB).")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="File that `backup` wrote.", exists=True, dir_okay=False, readable=True)],
) -> None:
    """Fill an empty database from a backup, and migrate it. Also moves the embedded database to a server."""
    with _database_url() as url:
        dumps.restore(url, file)
    with environment.prepared_database():
        output.print_note("Restored. Run `proofdesk audit verify` to verify that the audit log is intact.")


def _check_target(file: Path) -> None:
    """Raise `Invalid` if the file cannot be written, before the database is started."""
    folder = file.absolute().parent
    if file.is_dir():
        raise Invalid(f"{file} is a folder. Name a file in it, such as {file / 'proofdesk.zip'}.")
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}. Create it (`mkdir -p`), or name a file in another folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Invalid(f"The folder {folder} is not writable. Name a file in another folder.")


@contextlib.contextmanager
def _recorded(url: str) -> Iterator[None]:
    """Store in the database how the backup ended, so that one that fails opens an incident."""
    try:
        yield
    except ProofdeskError as error:
        dumps.record_backup(url, error.message)
        raise
    dumps.record_backup(url)


def _record_refusal(refusal: Invalid) -> None:
    """Store that the target of a backup cannot be written. No embedded database is started for that."""
    if (url := settings.load().database_url) is not None:
        with contextlib.suppress(ProofdeskError):
            dumps.record_backup(url.get_secret_value(), refusal.message)


@contextlib.contextmanager
def _database_url() -> Iterator[str]:
    """Yield the URL of the database without migrating it."""
    loaded = settings.load()
    if loaded.database_url is not None:
        yield loaded.database_url.get_secret_value()
        return
    with embedded.running_server(loaded.proofdesk_home) as url:
        yield url
