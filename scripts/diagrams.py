"""Draw docs/diagrams/*.mmd as SVG, which a Git host, the site and /help show without a script.

`make docs` runs it. It draws changed diagrams only: each picture contains the digest of its source. Mermaid comes from
npm and runs in Chromium.
"""

import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "diagrams"
MERMAID = "mermaid@11.17.2"
# One picture for light and dark pages, on its own background, in the colours of the light theme.
_INK, _LINE, _WASH, _EDGE, _BACKGROUND = "#1c2224", "#596164", "#e1eeea", "#12615a", "#ffffff"
_MARGIN = 12
_THEME = {
    "startOnLoad": False,
    "securityLevel": "strict",
    "theme": "base",
    "htmlLabels": False,
    "deterministicIds": True,
    "fontFamily": "Helvetica, Arial, sans-serif",
    "themeCSS": ".edgeLabel rect, .edgeLabel .background { opacity: 1 }",
    "flowchart": {"htmlLabels": False, "curve": "basis", "padding": 12},
    "themeVariables": {
        "fontSize": "14px",
        "primaryColor": _WASH,
        "primaryBorderColor": _EDGE,
        "primaryTextColor": _INK,
        "lineColor": _LINE,
        "textColor": _INK,
        "edgeLabelBackground": _BACKGROUND,
        "labelBackgroundColor": _BACKGROUND,
        "transitionLabelColor": _INK,
        "specialStateColor": _EDGE,
        "rowOdd": _BACKGROUND,
        "rowEven": "#f6f5f0",
    },
}


def digest(source: str) -> str:
    """Return the digest of a source and of the settings it is drawn with: 16 hexadecimal digits."""
    return hashlib.sha256(f"{MERMAID}\n{_THEME}\n{source}".encode()).hexdigest()[:16]


def stale() -> list[Path]:
    """Return the sources whose picture is missing or outdated."""
    return [source for source in sorted(FOLDER.glob("*.mmd")) if not _is_drawn(source)]


def _is_drawn(source: Path) -> bool:
    picture = source.with_suffix(".svg")
    return picture.is_file() and f"<!-- {digest(source.read_text('utf-8'))} -->" in picture.read_text("utf-8")


def draw(sources: list[Path]) -> None:
    """Draw the sources. Raises `OSError` or `subprocess.CalledProcessError` when Chromium or npm is missing."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise OSError("Chromium is not installed (apt-get install chromium).")
    script = _mermaid()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_content("<body></body>")
        page.add_script_tag(content=script)
        page.evaluate("config => mermaid.initialize(config)", _THEME)
        for source in sources:
            source.with_suffix(".svg").write_text(_drawn(page, source), "utf-8")
        browser.close()


def _drawn(page: Page, source: Path) -> str:
    text = source.read_text("utf-8")
    script = "async ([id, text]) => (await mermaid.render(id, text)).svg"
    svg = page.evaluate(script, [source.stem, text])
    left, top, width, height = map(float, re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', svg).groups())  # type: ignore[union-attr]
    box = (left - _MARGIN, top - _MARGIN, width + 2 * _MARGIN, height + 2 * _MARGIN)
    background = '<rect x="{}" y="{}" width="{}" height="{}" rx="8" fill="{}"/>'.format(*map(_short, box), _BACKGROUND)
    # The size of the layout: in an <img>, 100% would be the width of the container.
    size = f'width="{_short(box[2])}" height="{_short(box[3])}" viewBox="{" ".join(map(_short, box))}"'
    opening, rest = svg[: svg.index(">")], svg[svg.index(">") + 1 :]
    opening = re.sub(r' (width|height|viewBox|style)="[^"]*"', "", opening)
    rest = re.sub(r"\d+\.\d{2,}", lambda number: _short(float(number[0])), rest)
    return f"{opening} {size}>{background}{rest}\n<!-- {digest(text)} -->\n"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _mermaid() -> str:
    """Return the Mermaid script. It is downloaded from npm once."""
    cached = ROOT / "var" / "diagrams" / f"{MERMAID}.js"
    if not cached.is_file():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", MERMAID], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            package = next(Path(folder).glob("*.tgz")).read_bytes()
        with tarfile.open(fileobj=io.BytesIO(package)) as archive:
            script = archive.extractfile("package/dist/mermaid.min.js")
            assert script is not None
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_bytes(script.read())
    return cached.read_text("utf-8")


def main() -> int:
    """Draw outdated diagrams. Return the exit status."""
    try:
        if sources := stale():
            draw(sources)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The diagrams could not be drawn: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
