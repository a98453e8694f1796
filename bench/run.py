"""Run every benchmark and write the results to docs/performance.md and the growth charts to docs/img.

    make bench                           (or: python -m bench.run [--only sync])
    make bench ARGS="--quick --check"    small sizes; fails when a measurement is far beyond its floor

A benchmark is a module of this package with `async def measure(quick) -> Measurements`.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import embedding, outbound, pages, search, serving, start, sync
from bench.figures import Curve, Measurements, markdown_table
from bench.plot import svg

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "img"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
MEASUREMENTS: dict[str, Callable[[bool], Coroutine[Any, Any, Measurements]]] = {
    "sync": sync.measure,
    "embedding": embedding.measure,
    "search": search.measure,
    "serving": serving.measure,
    "pages": pages.measure,
    "outbound": outbound.measure,
    "start": start.measure,
}


def main() -> int:
    """Measure and print; write the page after a full run. Return 1 if a check failed."""
    options = _options()
    results = Measurements()
    for name in [options.only] if options.only else MEASUREMENTS:
        began = time.monotonic()
        measurements = asyncio.run(MEASUREMENTS[name](options.quick))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        results.figures += measurements.figures
        results.curves += measurements.curves
    measured = f"{_machine()}\n\n{markdown_table(results.figures)}"
    print(measured)
    print("\n".join(f"{curve.title} {curve.verdict}." for curve in results.curves))
    if not options.only and not options.quick:
        _write(measured, results.curves)
    faults = [figure for figure in results.figures if figure.is_fault] if options.check else []
    for figure in faults:
        print(f"{figure.work}: {figure.times:.1f} times its floor. The limit is {figure.limit:g}.", file=sys.stderr)
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), help="run one benchmark; do not write the page")
    parser.add_argument("--quick", action="store_true", help="small sizes, one minute; do not write the page")
    parser.add_argument("--check", action="store_true", help="fail when a measurement is far beyond its floor")
    return parser.parse_args()


def _write(measured: str, curves: list[Curve]) -> None:
    for curve in curves:
        (PICTURES / f"growth-{curve.name}.svg").write_text(svg(curve), "utf-8")
    charts = [f"![{c.title}, by {c.size_unit}](img/growth-{c.name}.svg)\n\n{c.title} {c.verdict}." for c in curves]
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    growth = "\n\n".join(["### Growth", "The dashed line shows linear growth.", *charts])
    PAGE.write_text(f"{before}{BEGIN}\n{measured}\n\n{growth}\n{END}{after}", "utf-8")


def _machine() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    load = os.getloadavg()[1]
    return (
        f"`make bench`, {datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}: {_processor()},"
        f" {os.cpu_count()} cores, {psutil.virtual_memory().total // 2**30} GB, {platform.system()},"
        f" Python {platform.python_version()}, the embedded PostgreSQL on the same machine. Load average of the"
        f" last five minutes: {load:.1f}."
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
