"""The rules of the house that a machine can check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "proofdesk").rglob("*.py"))
ALL = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "scripts").rglob("*.py"))]
WEEDS = {"service", "services", "manager", "managers", "utils", "helpers", "common", "misc"}
STATEMENT = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s", re.MULTILINE)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, inner ones included."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name(path: Path) -> str:
    """The path as people say it."""
    return str(path.relative_to(ROOT))


def test_no_file_is_named_for_a_drawer_that_only_grows():
    assert [name(p) for p in ALL if p.stem in WEEDS] == []


def test_sql_is_in_queries_only():
    guilty = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if not path.stem.endswith("queries") and "database" not in path.parts
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.search(node.value)
        if not _is_docstring(path, node)
    ]
    assert guilty == []


def _is_docstring(path: Path, node: ast.Constant) -> bool:
    for owner in ast.walk(parsed(path)):
        if isinstance(owner, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and owner.body:
            first = owner.body[0]
            if isinstance(first, ast.Expr) and getattr(first.value, "lineno", 0) == node.lineno:
                return True
    return False


def test_only_entering_a_project_makes_a_scope():
    guilty = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if path.parts[-2:] != ("projects", "scope.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Scope", "scope.Scope")
    ]
    assert guilty == []


def test_functions_are_small():
    guilty = [
        f"{name(path)}:{f.lineno} {f.name} ({f.end_lineno - f.lineno + 1} lines)"
        for path in SOURCES
        if not path.stem.endswith("queries")  # one statement may be long
        for f in functions(path)
        if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > 40
    ]
    assert guilty == []


@pytest.mark.parametrize("path", ALL, ids=name)
def test_a_file_is_one_thing(path: Path):
    limit = 450 if path.is_relative_to(ROOT / "tests") or path.stem.endswith("queries") else 300
    assert len(path.read_text("utf-8").splitlines()) <= limit


def test_public_functions_say_what_types_cannot():
    guilty = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and ast.get_docstring(node) is None
    ]
    assert guilty == []


def test_every_module_says_what_it_is():
    assert [name(p) for p in SOURCES if ast.get_docstring(parsed(p)) is None and p.stem != "__main__"] == []


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [name(p) for p in SOURCES if marks.search(p.read_text("utf-8"))] == []
