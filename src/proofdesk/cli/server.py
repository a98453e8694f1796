"""`serve`: the web server. `up`: the server and a worker together."""

import gc
import multiprocessing
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from granian.constants import Interfaces
from granian.server.mp import MPServer

from proofdesk import settings
from proofdesk.cli import app, environment, output
from proofdesk.core import ports
from proofdesk.dashboard import process_metrics
from proofdesk.http.web import assets
from proofdesk.settings import Settings

STOP_WITHIN = 25.0
_APPLICATION = "proofdesk.http.app:from_environment"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@app.command()
def serve() -> None:
    """Serve the web pages and the JSON API until stopped."""
    assets.manifest()
    preload(_APPLICATION)
    chosen = settings.load()
    with ports.listen(chosen.host, chosen.port) as listener, environment.prepared_database(chosen) as loaded:
        environment.run_with_resources(_nothing, loaded)
        _tell_address(loaded, listener)
        os.environ["DATABASE_URL"] = _url(loaded)
        _serve(loaded, listener)


@app.command()
def up() -> None:
    """Serve and work: everything that a small team needs, in one command."""
    assets.manifest()
    chosen = settings.load()
    ports.check(chosen.host, chosen.port)
    with environment.prepared_database(chosen) as loaded:
        environment.run_with_resources(_nothing, loaded)
        variables = os.environ | {"DATABASE_URL": _url(loaded)}
        sys.exit(run_commands([["serve"], ["worker"]], variables))


def _serve(loaded: Settings, listener: socket.socket) -> None:
    # Each process counts into a file of its own there.
    with tempfile.TemporaryDirectory(prefix="proofdesk-metrics-") as folder:
        os.environ[process_metrics.FOLDER_VARIABLE] = folder
        run_processes(_APPLICATION, listener, loaded.web_processes)


def preload(factory: str) -> None:
    """Read what the processes of `serve_processes` need, where these are forked from this one and share it."""
    if multiprocessing.get_start_method() == "fork":
        pkgutil.resolve_name(factory)
        gc.freeze()  # looking through it would give each process a copy


def serve_processes(factory: str, host: str, port: int, processes: int) -> None:
    """Serve on a port what `factory` (`module:name`) makes in each of the processes, until this one is stopped."""
    with ports.listen(host, port) as listener:
        run_processes(factory, listener, processes)


def run_processes(factory: str, listener: socket.socket, processes: int) -> None:
    """Serve what `factory` makes in each of the processes, which all accept from the listening socket."""
    _Server(
        listener,
        factory,
        interface=Interfaces.ASGI,
        workers=processes,
        workers_kill_timeout=int(STOP_WITHIN) - 5,
        log_enabled=False,
        websockets=False,
    ).serve(target_loader=_made)


class _Server(MPServer):
    """Granian with a socket of ours: its own would share the port with any other process of the same user."""

    def __init__(self, listener: socket.socket, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._shd = ports.granian_socket(self._listener)
        self._ssp, self._sfd, self._sso = None, self._listener.fileno(), self._listener

    def _drop_shared_socket(self) -> None:
        self._shd = None
        super()._drop_shared_socket()


def _made(factory: str) -> Any:
    # A process that is told to stop while it still loads has nothing to end, and goes at once. What Granian's parent
    # left it instead takes note of the signal and does nothing, and everybody would wait for it for ever.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    return pkgutil.resolve_name(factory)()


def run_commands(commands: Sequence[Sequence[str]], environment: dict[str, str]) -> int:
    """Run commands of ours side by side until one ends or this process is stopped; the exit status."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in _SIGNALS:
        signal.signal(number, stop)
    program = (sys.executable, "-m", "proofdesk")
    children = [
        subprocess.Popen([*program, *command], env=environment, start_new_session=True)  # noqa: S603
        for command in commands
    ]
    while not stopped and all(child.poll() is None for child in children):
        time.sleep(0.1)
    return _end(children, asked=stopped)


def _end(children: Sequence["subprocess.Popen[bytes]"], *, asked: bool) -> int:
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            child.kill()
    return 0 if asked else max(1, *(child.returncode or 0 for child in children))


async def _nothing(_: object) -> None:
    """Opening the resources is all: it makes the owner's account."""


def _url(loaded: Settings) -> str:
    assert loaded.database_url is not None
    return loaded.database_url.get_secret_value()


def _tell_address(loaded: Settings, listener: socket.socket) -> None:
    here = ports.url(loaded.host, listener.getsockname()[1])
    output.print_note(f"Proofdesk is at {loaded.public_url or here}")
