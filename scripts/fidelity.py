"""The page docs/fidelity.md: how the real services behave, where that was read, and which test holds Proofdesk to it.

The page is collected from the `fidelity` marks of the tests. `scripts/reference.py` writes it.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_INTRODUCTION = """\
# Fidelity

The simulators behave as the real services do, also where that is inconvenient. Each row is a behaviour of a real
service, the place where it was read or tried, and a test that fails when Proofdesk no longer handles it. Generated
from the `fidelity` marks of the tests (`make docs`). [chatwoot.md](chatwoot.md) explains what Proofdesk relies on in
Chatwoot.
"""


@dataclass(frozen=True)
class Mark:
    """One `fidelity` mark, and the test that carries it: `path::name`."""

    service: str
    behaviour: str
    source: str
    test: str


def marks() -> Iterator[Mark]:
    """Return the marks of all tests, by file and line."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for arguments in filter(None, map(_arguments, node.decorator_list)):
                    yield Mark(*arguments, f"{path.relative_to(ROOT)}::{node.name}")


def page() -> str:
    """Return the text of the page: one table per service."""
    by_service: dict[str, list[Mark]] = defaultdict(list)
    for mark in marks():
        by_service[mark.service].append(mark)
    lines = [_INTRODUCTION.rstrip()]
    for service, rows in sorted(by_service.items()):
        lines += ["", f"## {service}", "", "| Behaviour | Source | Test |", "| --- | --- | --- |"]
        lines += [f"| {row.behaviour} | {row.source} | `{row.test}` |" for row in rows]
    return "\n".join(lines) + "\n"


def _arguments(decorator: ast.expr) -> tuple[str, str, str] | None:
    if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func) != "pytest.mark.fidelity":
        return None
    service, behaviour, source = (ast.literal_eval(argument) for argument in decorator.args)
    return service, behaviour, source
