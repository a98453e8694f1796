"""`doctor` finds the configuration of the services."""

import os
from pathlib import Path

import pytest

from proofdesk.cli import inspection


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what names a database. Variables that a test adds are removed again."""
    monkeypatch.setattr(os, "environ", {"LOG_LEVEL": "error"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file as the services load it."""
    path = tmp_path / "env"
    path.write_text("# a comment\nDATABASE_URL=\"postgresql://desk@db/desk\"\nLOG_LEVEL=debug\nSMTP_FROM='Ann <a@x>'\n")
    return path


def test_the_file_of_the_services_is_loaded(file: Path, tmp_path: Path):
    used = inspection.load_environment(file, tmp_path)
    assert str(file) in used
    assert os.environ["DATABASE_URL"] == "postgresql://desk@db/desk"
    assert (os.environ["LOG_LEVEL"], os.environ["SMTP_FROM"]) == ("error", "Ann <a@x>")
    assert os.environ["PROOFDESK_HOME"] == str(tmp_path)


def test_an_environment_that_names_a_database_is_kept(file: Path, tmp_path: Path):
    os.environ["DATABASE_URL"] = "postgresql:///mine"
    assert inspection.load_environment(file, tmp_path) == "the environment of this command"
    assert os.environ["DATABASE_URL"] == "postgresql:///mine"


def test_without_the_file_the_environment_is_used(tmp_path: Path):
    assert inspection.load_environment(tmp_path / "none") == "the environment of this command"


def test_an_unreadable_file_says_how_to_load_it(tmp_path: Path):
    used = inspection.load_environment(tmp_path, tmp_path)  # a folder cannot be read as a file
    assert "may not read" in used and "sudo sh -c" in used
