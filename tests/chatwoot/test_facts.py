"""The numbers of facts about Chatwoot that code and docs name are headings of docs/chatwoot.md."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"\bC-\d\d\b")
HEADINGS = re.findall(r"^### (C-\d\d) ", (ROOT / "docs" / "chatwoot.md").read_text("utf-8"), re.MULTILINE)


def test_every_fact_has_one_heading():
    assert len(HEADINGS) == len(set(HEADINGS)) > 20


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "scripts", "docs"])
def test_every_fact_that_is_named_exists(folder: str):
    paths = [p for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".md", ".sql", ".toml"}]
    names = {(str(p.relative_to(ROOT)), n) for p in paths for n in NUMBER.findall(p.read_text("utf-8"))}
    assert [name for name in sorted(names) if name[1] not in HEADINGS] == []
