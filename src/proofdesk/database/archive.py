"""The file of a backup: a zip with one COPY text file for each table, and a manifest that says what must be in it.

COPY's text format is the same in every version of PostgreSQL, so a backup of one restores into another.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from proofdesk.errors import Invalid

FORMAT = 1
_MANIFEST = "manifest.json"
_BLOCK = 2**18  # bytes
_COMPRESSION = 3  # half the time of zlib's usual 6, for a twentieth more bytes


class DamagedBackup(Invalid):
    """The file is no backup, or is not what was written."""

    code = "backup_damaged"


class NewerBackup(Invalid):
    """The backup was made by a newer version of Proofdesk."""

    code = "backup_newer"


@dataclass(frozen=True)
class ArchivedTable:
    """A table as it was copied; `sha256` and `bytes` are those of the COPY text."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ArchivedSequence:
    """A sequence and where it stands."""

    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True)
class BackupManifest:
    """What a backup holds, and what made it."""

    proofdesk: str
    server: str
    created_at: str
    migrations: list[str]
    tables: list[ArchivedTable] = field(default_factory=list)
    sequences: list[ArchivedSequence] = field(default_factory=list)
    format: int = FORMAT


class BackupWriter:
    """Writes tables one after another, and the manifest last."""

    def __init__(self, file: Path):
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION)

    def add(self, name: str, columns: list[str], blocks: Iterable[bytes]) -> ArchivedTable:
        """Write the COPY text of a table as it comes; the row count is that of its lines."""
        digest, size, rows = hashlib.sha256(), 0, 0
        with self._zip.open(_member(name), "w", force_zip64=True) as member:
            for data in blocks:
                member.write(data)
                digest.update(data)
                size += len(data)
                rows += data.count(b"\n")  # a line break within a value is written as \n, two characters
        return ArchivedTable(name, columns, rows, size, digest.hexdigest())

    def finish(self, manifest: BackupManifest) -> None:
        """Write the manifest and end the file."""
        self._zip.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=1))
        self._zip.close()

    def close(self) -> None:
        """Release the file, whole or not."""
        self._zip.close()


class BackupReader:
    """Reads a backup. Raises `DamagedBackup` wherever it is not what was written, `NewerBackup` for another format."""

    def __init__(self, file: Path):
        try:
            self._zip = zipfile.ZipFile(file)
            self.manifest = _parse(json.loads(self._zip.read(_MANIFEST)))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
            raise DamagedBackup(
                f"{file} is not a complete backup of Proofdesk ({error}). Restore from another file."
            ) from error

    def blocks(self, table: ArchivedTable) -> Iterator[bytes]:
        """The COPY text of a table, whose length and checksum are proved at its end."""
        digest, size = hashlib.sha256(), 0
        try:
            with self._zip.open(_member(table.name)) as member:
                while block := member.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
                    yield block
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            raise _damaged(table.name) from error
        if (size, digest.hexdigest()) != (table.bytes, table.sha256):
            raise _damaged(table.name)

    def close(self) -> None:
        """Release the file."""
        self._zip.close()


def _damaged(table: str) -> DamagedBackup:
    return DamagedBackup(f"The backup is damaged: {table} is not what was written. Restore from another file.")


def _parse(raw: Any) -> BackupManifest:
    if raw["format"] > FORMAT:
        raise NewerBackup("The backup has a newer format. Install the version of Proofdesk that made it.")
    tables = [ArchivedTable(**table) for table in raw.pop("tables")]
    sequences = [ArchivedSequence(**sequence) for sequence in raw.pop("sequences")]
    return BackupManifest(**raw, tables=tables, sequences=sequences)


def _member(table: str) -> str:
    return f"data/{table}.copy"
