"""Running an ASGI app on a loopback port for as long as a `with` block lasts."""

import asyncio
import atexit
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp

HOST = "127.0.0.1"
START_WITHIN = 5.0
STOP_WITHIN = 0.5
TASKS = Path("/proc/self/task")


class ConnectionCut(httpx2.RemoteProtocolError):
    """Raised by an app after the first bytes of an answer, to break the connection off.

    A client inside the process gets it as the error that a client on the wire would see.
    """


@contextmanager
def running(app: ASGIApp, host: str = HOST, port: int = 0) -> Iterator[str]:
    """Serve `app` from a thread and yield its base URL, `http://127.0.0.1:<port>`.

    Takes a free port unless one is given. The app gets no lifespan events. Raises RuntimeError
    when the server does not come up within five seconds.
    """
    with _reserved(host, port) as chosen:
        background = _Background(app, host, chosen)
        background.start()
        try:
            yield f"http://{host}:{chosen}"
        finally:
            background.stop()


async def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until cancelled."""
    server = _server(app, host, port)
    try:
        await server.serve()
    except asyncio.CancelledError:
        server.stop()
        await server.shutdown()
        await asyncio.sleep(0.05)  # Granian's threads must be gone before the interpreter may end
        raise


class _Background:
    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app, self._host, self._port = app, host, port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name=f"serving-{port}", daemon=True)
        self._threads_before = _native_threads()

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_WITHIN
        while not self._answers():
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"no server at {self._host}:{self._port}")
            time.sleep(0.002)

    def stop(self) -> None:
        if self._loop is not None and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(START_WITHIN)
        _ending.update(_native_threads() - self._threads_before - _python_threads())

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = _server(self._app, self._host, self._port)
        await self._server.serve()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self._host, self._port), timeout=0.5):
            return True
        return False


_ending: set[str] = set()
"""Granian's own threads that were not gone yet when their server was."""


@atexit.register
def _outlive_runtimes() -> None:
    """Wait for them: an interpreter that ends before they do aborts."""
    deadline = time.monotonic() + STOP_WITHIN
    while _ending & _native_threads() and time.monotonic() < deadline:
        time.sleep(0.002)


def _server(app: ASGIApp, host: str, port: int) -> Server:
    return Server(app, address=host, port=port, interface=Interfaces.ASGINL, websockets=False, log_enabled=False)


def _native_threads() -> set[str]:
    """Ids of all threads of the process, where the system shows them."""
    return {task.name for task in TASKS.iterdir()} if TASKS.exists() else set()


def _python_threads() -> set[str]:
    return {str(thread.native_id) for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}


@contextmanager
def _reserved(host: str, port: int) -> Iterator[int]:
    """Keep a port bound while the server uses it. Granian shares ports (SO_REUSEPORT), so two
    servers that found the same free one would answer each other's requests."""
    with socket.socket() as probe:
        if hasattr(socket, "SO_REUSEPORT"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind((host, port))
            yield int(probe.getsockname()[1])
            return
        probe.bind((host, port))
        chosen = int(probe.getsockname()[1])
    yield chosen
