"""The start of `proofdesk up` with an existing database, and the memory of its idle processes.

The floor is the start of the database server, and of an interpreter with the libraries that any such server needs.
"""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.figures import Figure, Measurements
from bench.serving import wait_for
from proofdesk.database import embedded, migrate

_LIBRARIES = "fastapi, granian, psycopg_pool, procrastinate"
_SETTLED = 3.0  # seconds until a started process is idle


async def measure(quick: bool) -> Measurements:
    """Measure start time and idle memory."""
    with tempfile.TemporaryDirectory(prefix="proofdesk-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # run by root, the database server is another user
        home = Path(folder) / "home"
        with embedded.running_server(home) as url:
            migrate.migrate(url)
        _start_and_measure(home)  # warm-up: compilation and first reads are not measured
        began = time.perf_counter()
        with embedded.running_server(home):
            subprocess.run([sys.executable, "-c", f"import {_LIBRARIES}"], check=True)
            floor = time.perf_counter() - began
        ready, memory = _start_and_measure(home)
    return Measurements([_start_figure(ready, floor), *(_memory_figure(name, held) for name, held in memory.items())])


def _start_figure(ready: float, alone: float) -> Figure:
    return Figure(
        work="`proofdesk up` until ready, with an existing database",
        goal="≤ 3 s",
        measured=f"{ready:.1f} s",
        floor=f"database server and libraries {alone:.1f} s",
        times=ready / alone,
        met=ready <= 3,
        limit=40,
    )


def _memory_figure(name: str, held: float) -> Figure:
    return Figure(f"memory of an idle {name}", "≤ 150 MB", f"{held:.0f} MB", met=held <= 150)


def _start_and_measure(home: Path) -> tuple[float, dict[str, float]]:
    """Return the seconds until it is ready, and the memory of its server and its worker in MB."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"PROOFDESK_HOME": str(home), "PORT": str(port), "AUTH_PASSWORD": secrets.token_urlsafe(16)}
    # As after an installation: this machine may disable bytecode caching.
    environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(home.parent / "compiled")}
    began = time.perf_counter()
    command = [sys.executable, "-m", "proofdesk", "up"]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/ready")
            ready = time.perf_counter() - began
            time.sleep(_SETTLED)
            parts = {child.cmdline()[-1]: child for child in psutil.Process(process.pid).children()}
            return ready, {name: _megabytes(parts[part]) for name, part in (("server", "serve"), ("worker", "worker"))}
        finally:
            process.terminate()


def _megabytes(process: psutil.Process) -> float:
    """Return the memory of a process and its children. Shared memory is counted once."""
    return sum(p.memory_full_info().pss for p in [process, *process.children(recursive=True)]) / 2**20
