"""`serve`: the web server. `up`: the server and a worker in one command."""

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

STOP_TIMEOUT = 25.0  # seconds
_APPLICATION = "proofdesk.http.app:from_environment"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@app.command()
def serve() -> None:
    """Serve the web pages and the JSON API until stopped."""
    assets.manifest()
    preload(_APPLICATION)
    loaded = settings.load()
    with ports.listen(loaded.host, loaded.port) as listener, environment.prepared_database(loaded) as loaded:
        environment.run_with_resources(_create_owner, loaded)
        _print_address(loaded, listener)
        os.environ["DATABASE_URL"] = _database_url(loaded)
        _serve(loaded, listener)


@app.command()
def up() -> None:
    """Run the server and a worker in one command. Enough for a small team."""
    assets.manifest()
    loaded = settings.load()
    ports.check(loaded.host, loaded.port)
    with environment.prepared_database(loaded) as loaded:
        environment.run_with_resources(_create_owner, loaded)
        variables = os.environ | {"DATABASE_URL": _database_url(loaded)}
        sys.exit(run_commands([["serve"], ["worker"]], variables))


def _serve(loaded: Settings, listener: socket.socket) -> None:
    # Each process writes its metrics to its own file there.
    with tempfile.TemporaryDirectory(prefix="proofdesk-metrics-") as folder:
        os.environ[process_metrics.FOLDER_VARIABLE] = folder
        run_processes(_APPLICATION, listener, loaded.web_processes)


def preload(factory: str) -> None:
    """Import the application before `serve_processes` forks, so that the processes share its memory."""
    if multiprocessing.get_start_method() == "fork":
        pkgutil.resolve_name(factory)
        gc.freeze()  # garbage collection would copy the shared pages


def serve_processes(factory: str, host: str, port: int, processes: int) -> None:
    """Serve the application of `factory` (`module:name`) on a port, in several processes, until stopped."""
    with ports.listen(host, port) as listener:
        run_processes(factory, listener, processes)


def run_processes(factory: str, listener: socket.socket, processes: int) -> None:
    """Serve the application of `factory` in several processes, which all accept from the listening socket."""
    _Server(
        listener,
        factory,
        interface=Interfaces.ASGI,
        workers=processes,
        workers_kill_timeout=int(STOP_TIMEOUT) - 5,
        log_enabled=False,
        websockets=False,
    ).serve(target_loader=_load_application)


class _Server(MPServer):
    """Granian with our own socket: its default would share the port with other processes of the same user."""

    def __init__(self, listener: socket.socket, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._shd = ports.granian_socket(self._listener)
        self._ssp, self._sfd, self._sso = None, self._listener.fileno(), self._listener

    def _drop_shared_socket(self) -> None:
        self._shd = None
        super()._drop_shared_socket()


def _load_application(factory: str) -> Any:
    # A process that is stopped while it loads must exit at once. The handlers that it inherits from Granian's parent
    # process only note the signal, so the parent would wait for it forever.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    return pkgutil.resolve_name(factory)()


def run_commands(commands: Sequence[Sequence[str]], variables: dict[str, str]) -> int:
    """Run Proofdesk commands in parallel until one ends or this process is stopped. Return the exit status."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in _SIGNALS:
        signal.signal(number, stop)
    program = (sys.executable, "-m", "proofdesk")
    children = [
        subprocess.Popen([*program, *command], env=variables, start_new_session=True)  # noqa: S603
        for command in commands
    ]
    while not stopped and all(child.poll() is None for child in children):
        time.sleep(0.1)
    return _stop(children, requested=stopped)


def _stop(children: Sequence["subprocess.Popen[bytes]"], *, requested: bool) -> int:
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            child.kill()
    return 0 if requested else max(1, *(child.returncode or 0 for child in children))


async def _create_owner(_: object) -> None:
    """Do nothing: opening the resources creates the owner account."""


def _database_url(loaded: Settings) -> str:
    assert loaded.database_url is not None
    return loaded.database_url.get_secret_value()


def _print_address(loaded: Settings, listener: socket.socket) -> None:
    local_url = ports.url(loaded.host, listener.getsockname()[1])
    output.print_note(f"Proofdesk is at {loaded.public_url or local_url}")
