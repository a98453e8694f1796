"""docs/data-model.md matches the database, and every table has a comment."""

from pathlib import Path

import psycopg
import pytest
from scripts import data_model, diagrams

from tests.support.databases import copy_database

ROOT = Path(__file__).parents[2]


@pytest.fixture
def migrated(server_url: str, worker_id: str) -> str:
    """A freshly migrated database. Other tests build indexes in theirs."""
    return copy_database(server_url, f"model_{worker_id}")


def test_data_model_page_matches_the_database(migrated: str):
    with psycopg.connect(migrated) as conn:
        written = data_model.pages(conn)
    assert len(written) == 1 + len(data_model.AREAS)
    differing = [path.name for path, text in written.items() if path.read_text("utf-8") != text]
    assert differing == [], "run `make docs`"


def test_every_table_has_a_comment(migrated: str):
    with psycopg.connect(migrated) as conn:
        model = data_model.Model(conn)
    assert [table for table, comment in model.tables.items() if not comment] == []


def test_table_without_an_area_is_refused(migrated: str):
    with psycopg.connect(migrated) as conn:
        conn.execute("CREATE TABLE stray (id integer)")
        with pytest.raises(KeyError, match="stray"):
            data_model.pages(conn)


def test_every_diagram_is_current_and_shown():
    assert [source.name for source in diagrams.stale()] == [], "run `make docs`"
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md"))
    sources = list(diagrams.FOLDER.glob("*.mmd"))
    assert len(sources) >= 10
    assert [s.stem for s in sources if f"(diagrams/{s.stem}.svg)" not in pages] == []
    assert {p.stem for p in diagrams.FOLDER.glob("*.svg")} == {s.stem for s in sources}
