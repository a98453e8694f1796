"""Build the documentation as a site in var/site: `make site`. scripts/assets.py copies the site into the package.

Zensical puts a few scripts into the pages themselves, and its search adds a style element. The Content-Security-Policy
of Proofdesk forbids both. The scripts are moved to files here, and the style becomes a constructed style sheet. A link
that leads nowhere fails the build with `--strict`.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "var" / "site"
FONTS = ROOT / "node_modules" / "@fontsource-variable" / "onest" / "files"
SCRIPTS = Path("assets/javascripts")
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r'(\w+)\.appendChild\(\w+\("style",\{\},(\w+)\.toString\(\)\)\);')


def main() -> int:
    """Build the site. Return the exit status."""
    if not build("--strict"):
        return 1
    print(f"The site is in {SITE.relative_to(ROOT)}.")
    return 0


def build(*options: str) -> bool:
    """Run Zensical and complete its output. Return whether it succeeded."""
    command = [sys.executable, "-m", "zensical", "build", "--clean", *options]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        print(result.stdout + result.stderr, file=sys.stderr)
        return False
    complete(SITE)
    return True


def complete(site: Path) -> None:
    """Add the fonts that docs/site.css names, and remove what the policy forbids."""
    fonts = site / "assets" / "fonts"
    fonts.mkdir(parents=True, exist_ok=True)
    for font in FONTS.glob("onest-*-wght-normal.woff2"):
        if font.name.split("-")[1] in ("latin", "cyrillic"):
            shutil.copy(font, fonts)
    for page in site.rglob("*.html"):
        page.write_text(_without_inline_scripts(page.read_text("utf-8"), page, site), "utf-8")
    for script in (site / SCRIPTS).glob("bundle.*.js"):
        text = script.read_text("utf-8")
        sheet = r"{const sheet=new CSSStyleSheet;sheet.replaceSync(\2.toString());\1.adoptedStyleSheets=[sheet]}"
        script.write_text(_STYLE.sub(sheet, text), "utf-8")


def _without_inline_scripts(html: str, page: Path, site: Path) -> str:
    to_root = "../" * len(page.relative_to(site).parents[:-1])

    def move(match: re.Match[str]) -> str:
        digest = hashlib.sha256(match[1].encode()).hexdigest()[:8]
        name = SCRIPTS / f"inline.{digest}.min.js"
        (site / name).write_text(match[1] + "\n", "utf-8")
        return f'<script src="{to_root}{name}"></script>'

    return _INLINE.sub(move, html)


if __name__ == "__main__":
    sys.exit(main())
