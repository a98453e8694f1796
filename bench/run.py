"""Runs every measurement and writes what came out into docs/performance.md.

    make bench                         (or: python -m bench.run [--only search])

A measurement is a module of this package with `async def figures() -> list[Figure]`; its rows follow those before it.
"""

import argparse
import asyncio
import os
import platform
import subprocess
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import search
from bench.figures import Figure, table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
ALL: dict[str, Callable[[], Coroutine[Any, Any, list[Figure]]]] = {"search": search.figures}


def main() -> None:
    """Measure, print, and write the page when everything was measured."""
    parser = argparse.ArgumentParser(description="Measure how fast everything is.")
    parser.add_argument("--only", choices=sorted(ALL), help="one measurement; the page is left alone")
    only = parser.parse_args().only
    found: list[Figure] = []
    for name in [only] if only else ALL:
        found += asyncio.run(ALL[name]())
    measured = f"{_machine()}\n\n{table(found)}"
    print(measured)
    if not only:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{measured}\n{END}{after}", "utf-8")


def _machine() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    busy = os.getloadavg()[1]
    return (
        f"`make bench`, {datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}: {_processor()},"
        f" {os.cpu_count()} cores, {psutil.virtual_memory().total // 2**30} GB, {platform.system()},"
        f" Python {platform.python_version()}, the embedded PostgreSQL on the same machine. Load average during the"
        f" last five minutes: {busy:.1f}."
    )


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text("utf-8").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
