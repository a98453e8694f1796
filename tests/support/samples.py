"""The code samples of the documentation, which tests run.

A sample that no test can run has a line `<!-- not run: why -->` before it. Blocks without a language are not samples.
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
    """A code block. `why` is the reason why no test runs it, or None."""

    page: str
    language: str
    text: str
    why: str | None


def all_samples() -> Iterator[Sample]:
    """Yield the samples of all pages."""
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))):
        for found in _FENCE.finditer(page.read_text("utf-8")):
            if found["language"]:
                yield Sample(str(page.relative_to(ROOT)), found["language"], found["text"], found["why"])


def runnable_samples(page: str) -> list[str]:
    """Return the samples of a page that tests run, in order."""
    return [sample.text for sample in all_samples() if sample.page == page and sample.why is None]
