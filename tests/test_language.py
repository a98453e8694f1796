"""Code and docs keep to `docs/glossary.md`."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / "src/proofdesk", ROOT / "src/proofdesk_simulators")
IDIOM = frozenset(
    {"asked", "told", "said", "found", "one", "held", "wanted", "given", "known", "made", "shown", "things"}
    | {"meant", "of", "seen", "taken", "sought", "wish"}
)
PRONOUN = re.compile(r"\b(he|him|his|himself)\b", re.IGNORECASE)
TEXTS = {".py", ".html", ".md", ".sql", ".js", ".css"}
GENERATED = {"built"}
LONGEST_TEST_NAME = 70


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def _public_definitions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    for path, module in _modules():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            ):
                yield path, node


def _texts() -> list[Path]:
    folders = [*PACKAGES, *(ROOT / name for name in ("docs", "tests", "bench", "scripts", "deploy"))]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in TEXTS]
    paths += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    generated = ROOT / "src/proofdesk/http/web"
    own = (Path(__file__), ROOT / "docs/glossary.md")
    words = ROOT / "src/proofdesk/commitments/extraction/languages"  # lists the words of languages, pronouns included
    paths = [path for path in paths if words not in path.parents]
    return [p for p in paths if p not in own and not any((generated / n) in p.parents for n in GENERATED)]


def test_people_are_they():
    lines = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in _texts()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if PRONOUN.search(line)
    ]
    assert lines == []


def test_no_public_class_name_is_defined_twice():
    places: dict[str, list[str]] = defaultdict(list)
    for path, node in _public_definitions():
        if isinstance(node, ast.ClassDef):
            places[node.name].append(str(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_public_names_say_what_they_name():
    names = [f"{path}:{node.lineno} {node.name}" for path, node in _public_definitions() if node.name.lower() in IDIOM]
    modules = [str(path) for path, _ in _modules() if path.stem in IDIOM]
    assert names + modules == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.stem)
def test_names_of_tests_are_short(path: Path):
    names = [
        n.name
        for n in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for name in names if name.startswith("test_") and len(name) > LONGEST_TEST_NAME] == []
