"""Rules of the style guide that a program can check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "proofdesk").rglob("*.py"))
ALL = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "scripts").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
VAGUE_NAMES = {"service", "services", "manager", "managers", "utils", "helpers", "common", "misc"}
STATEMENT = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s", re.MULTILINE)


def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function of a file, including nested ones."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name(path: Path) -> str:
    """Return the path below the repository, as a test id."""
    return str(path.relative_to(ROOT))


def test_no_module_has_a_vague_name():
    assert [name(p) for p in ALL if p.stem in VAGUE_NAMES] == []


def test_sql_stands_in_queries_modules():
    violations = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if not path.stem.endswith("queries") and "database" not in path.parts
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.search(node.value)
        if not _is_docstring(path, node)
    ]
    assert violations == []


def _is_docstring(path: Path, node: ast.Constant) -> bool:
    for owner in ast.walk(parsed(path)):
        if isinstance(owner, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and owner.body:
            first = owner.body[0]
            if isinstance(first, ast.Expr) and getattr(first.value, "lineno", 0) == node.lineno:
                return True
    return False


def test_only_projects_scope_creates_a_scope():
    violations = [
        f"{name(path)}:{node.lineno}"
        for path in SOURCES
        if path.parts[-2:] != ("projects", "scope.py")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Scope", "scope.Scope")
    ]
    assert violations == []


def test_functions_are_small():
    violations = [
        f"{name(path)}:{f.lineno} {f.name} ({f.end_lineno - f.lineno + 1} lines)"
        for path in SOURCES
        if not path.stem.endswith("queries")  # one statement may be long
        for f in functions(path)
        if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > 40
    ]
    assert violations == []


@pytest.mark.parametrize("path", ALL, ids=name)
def test_files_are_short(path: Path):
    limit = 450 if path.is_relative_to(ROOT / "tests") or path.stem.endswith("queries") else 300
    assert len(path.read_text("utf-8").splitlines()) <= limit


def test_public_definitions_have_docstrings():
    violations = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and ast.get_docstring(node) is None
    ]
    assert violations == []


def test_modules_have_docstrings():
    assert [name(p) for p in SOURCES if ast.get_docstring(parsed(p)) is None and p.stem != "__main__"] == []


def test_nothing_is_left_unfinished():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert [name(p) for p in SOURCES if marks.search(p.read_text("utf-8"))] == []


def test_tests_share_only_what_is_in_support():
    """A test imports from tests.support or from helpers of its own folder, and never from a test or a conftest."""
    assert [line for path in TESTS for line in _forbidden_imports(path)] == []


def _forbidden_imports(path: Path) -> Iterator[str]:
    folder = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.ImportFrom) or not node.module or node.module.partition(".")[0] != "tests":
            continue
        shared = node.module.startswith("tests.support")
        own = folder in (node.module, node.module.rpartition(".")[0])
        names = [node.module.rpartition(".")[2], *(alias.name for alias in node.names)]
        if not (shared or own) or any(n == "conftest" or n.startswith("test_") for n in names):
            yield f"{name(path)}:{node.lineno} {node.module}"
