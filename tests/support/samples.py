"""The code samples of the documentation, which tests run.

One that no test can run has a line `<!-- not run: why -->` before it. Text without a language, such as a drawing, is no
sample.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<why>[^\n]*) -->\n)? *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Sample:
    """A block of code. `why` is empty when it is to be run."""

    page: str
    language: str
    text: str
    why: str | None


def every() -> Iterator[Sample]:
    """Those of all pages."""
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))):
        for found in _FENCE.finditer(page.read_text("utf-8")):
            if found["language"]:
                yield Sample(str(page.relative_to(ROOT)), found["language"], found["text"], found["why"])


def of(page: str) -> list[str]:
    """Those of a page that are to be run, in order."""
    return [sample.text for sample in every() if sample.page == page and sample.why is None]
