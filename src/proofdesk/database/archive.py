"""Read and write backup files: a zip with one COPY text file per table, and a manifest that lists them.

The text format of COPY is the same in every version of PostgreSQL, so a backup can be restored into another version.
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
    """The file is not a backup, or was changed."""

    code = "backup_damaged"


class NewerBackup(Invalid):
    """The backup was made by a newer version of Proofdesk."""

    code = "backup_newer"


@dataclass(frozen=True)
class ArchivedTable:
    """A table in a backup. `sha256` and `bytes` are those of the COPY text."""

    name: str
    columns: list[str]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ArchivedSequence:
    """A sequence in a backup."""

    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True)
class BackupManifest:
    """What a backup contains, and which version created it."""

    proofdesk: str
    server: str
    created_at: str
    migrations: list[str]
    tables: list[ArchivedTable] = field(default_factory=list)
    sequences: list[ArchivedSequence] = field(default_factory=list)
    format: int = FORMAT


class BackupWriter:
    """Writes the tables one after another, and then the manifest."""

    def __init__(self, file: Path):
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION)

    def add(self, name: str, columns: list[str], blocks: Iterable[bytes]) -> ArchivedTable:
        """Write the COPY text of a table. The number of rows is that of its lines."""
        digest, size, rows = hashlib.sha256(), 0, 0
        with self._zip.open(_member(name), "w", force_zip64=True) as member:
            for data in blocks:
                member.write(data)
                digest.update(data)
                size += len(data)
                rows += data.count(b"\n")  # a line break in a value is escaped
        return ArchivedTable(name, columns, rows, size, digest.hexdigest())

    def finish(self, manifest: BackupManifest) -> None:
        """Write the manifest and close the file."""
        self._zip.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=1))
        self._zip.close()

    def close(self) -> None:
        """Close the file, complete or not."""
        self._zip.close()


class BackupReader:
    """Reads a backup. Raises `DamagedBackup` where it was changed, and `NewerBackup` for a newer format."""

    def __init__(self, file: Path):
        try:
            self._zip = zipfile.ZipFile(file)
            self.manifest = _parse(json.loads(self._zip.read(_MANIFEST)))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
            raise DamagedBackup(
                f"{file} is not a complete backup of Proofdesk ({error}). Restore from another file."
            ) from error

    def blocks(self, table: ArchivedTable) -> Iterator[bytes]:
        """Yield the COPY text of a table. Its length and checksum are verified at the end."""
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
        """Close the file."""
        self._zip.close()


def _damaged(table: str) -> DamagedBackup:
    return DamagedBackup(f"The backup is damaged: the checksum of {table} is wrong. Restore from another file.")


def _parse(raw: Any) -> BackupManifest:
    if raw["format"] > FORMAT:
        raise NewerBackup("The backup has a newer format. Install the version of Proofdesk that made it.")
    tables = [ArchivedTable(**table) for table in raw.pop("tables")]
    sequences = [ArchivedSequence(**sequence) for sequence in raw.pop("sequences")]
    return BackupManifest(**raw, tables=tables, sequences=sequences)


def _member(table: str) -> str:
    return f"data/{table}.copy"
