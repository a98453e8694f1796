"""Pictures of every page in docs/img: light, dark, and on a phone. Run by `make screenshots`, on the demo's data.

The list of pages is that of the tests (tests/http/web/places.py), so that what is shown is what is tested.
"""

import base64
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "img"
FLAGS = ["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--font-render-hinting=none", "--disable-dev-shm-usage"]
HEAVIEST = 150 * 1024
QUERIES = {"q=delivery": "q=charged+twice+by+direct+debit", "q=xylophone": "q=xylophone"}

sys.path.insert(0, str(ROOT))
from tests.http.web.places import PAGES, Look  # noqa: E402


@dataclass(frozen=True)
class Way:
    """One way of looking at a page."""

    suffix: str
    theme: str
    width: int
    height: int
    phone: bool = False


WAYS = (
    Way("light", "light", 1280, 800),
    Way("dark", "dark", 1280, 800),
    Way("phone", "light", 390, 844, phone=True),
)


def main() -> int:
    """Take all pictures; the exit status."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Chromium is not installed (apt-get install chromium).", file=sys.stderr)
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    with _demo() as (address, username, password), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for way in WAYS:
            _look(browser, way, address, username, password)
        browser.close()
    heavy = [picture.name for picture in TARGET.glob("*.webp") if picture.stat().st_size > HEAVIEST]
    if heavy:
        print(f"More than {HEAVIEST // 1024} KB: {', '.join(heavy)}", file=sys.stderr)
    return 1 if heavy else 0


@contextlib.contextmanager
def _demo() -> Iterator[tuple[str, str, str]]:
    """The demo on a free port, with a home of its own; its address, username and password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Its database belongs to another user where it is run by root, who must be able to go in.
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as told:
        Path(home).chmod(0o755)
        environment = os.environ | {"PROOFDESK_HOME": home, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen([sys.executable, "-m", "proofdesk", "demo"], env=environment, stdout=told)
        try:
            _await(f"http://127.0.0.1:{port}/health", process)
            told.seek(0)
            found = re.search(r"Username: (\S+) +Password: (\S+)", told.read())
            assert found is not None
            yield f"http://127.0.0.1:{port}", found[1], found[2]
        finally:
            process.terminate()
            process.wait(60)


def _await(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(address, timeout=5)  # noqa: S310
            return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("The demo did not start.")


def _look(browser: Browser, way: Way, address: str, username: str, password: str) -> None:
    context = browser.new_context(
        base_url=address,
        viewport={"width": way.width, "height": way.height},
        color_scheme=way.theme,  # type: ignore[arg-type]
        timezone_id="Europe/Berlin",
        locale="en-GB",
        reduced_motion="reduce",
        has_touch=way.phone,
    )
    tab = context.new_page()
    tab.goto("/login")
    _shoot(tab, "login", way)
    tab.get_by_label("Username").fill(username)
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_load_state("networkidle")
    if (choose := tab.locator("main").get_by_role("button", name="Open project")).count():
        choose.first.click()
        tab.wait_for_load_state("networkidle")
    for page in PAGES:
        if page.signed_in:
            _open(tab, page)
            _shoot(tab, page.name, way)
    context.close()


def _open(tab, page: Look) -> None:
    path = page.path
    for asked, instead in QUERIES.items():
        path = path.replace(asked, instead)
    tab.goto(path, wait_until="load")
    tab.wait_for_timeout(300)
    tab.wait_for_function("!document.querySelector('main .htmx-request')")  # parts that come by themselves
    if page.click:
        tab.locator(page.click).first.click()
        tab.wait_for_load_state("networkidle")
        tab.wait_for_timeout(300)


def _shoot(tab, name: str, way: Way) -> None:
    """A picture as WebP: the browser's own encoder makes it a fifth of a PNG."""
    session = tab.context.new_cdp_session(tab)
    taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    session.detach()
    (TARGET / f"{name}-{way.suffix}.webp").write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    sys.exit(main())
