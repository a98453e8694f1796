"""Running an ASGI app on a loopback port for as long as a `with` block lasts."""

import asyncio
import atexit
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.types import ASGIApp

from proofdesk.core import ports

HOST = "127.0.0.1"
START_WITHIN = 5.0
STOP_WITHIN = 0.5
TASKS = Path("/proc/self/task")


class ConnectionCut(httpx2.RemoteProtocolError):
    """Raised by an app after the first bytes of a response, to close the connection.

    An in-process client gets the same error as a client over the network.
    """


@contextmanager
def running(app: ASGIApp, host: str = HOST, port: int = 0) -> Iterator[str]:
    """Serve `app` from a thread and yield its base URL, `http://127.0.0.1:<port>`.

    Port 0 is any free port. The app gets no lifespan events. Raises RuntimeError if the server does not start within
    five seconds.
    """
    with ports.listen(host, port, ("--host", "--port")) as listener:
        background = _Background(app, listener)
        background.start()
        try:
            yield ports.url(host, listener.getsockname()[1])
        finally:
            background.stop()


async def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve until cancelled. Raises `PortUnavailable`."""
    with ports.listen(host, port, ("--host", "--port")) as listener:
        await serve_on(app, listener)


async def serve_on(app: ASGIApp, listener: socket.socket) -> None:
    """Serve on a socket that listens, until cancelled."""
    server = _Server(app, listener)
    try:
        await server.serve()
    except asyncio.CancelledError:
        server.stop()
        await server.shutdown()
        await asyncio.sleep(0.05)  # Granian's threads must be gone before the interpreter may end
        raise


class _Background:
    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app, self._listener = app, listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._thread = threading.Thread(target=self._run, name=f"serving-{listener.getsockname()[1]}", daemon=True)
        self._threads_before = _native_threads()

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_WITHIN
        while self._server is None or not self._server.wrks:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"The server at {self._listener.getsockname()} did not start.")
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
        self._server = _Server(self._app, self._listener)
        await self._server.serve()


_ending: set[str] = set()
"""Threads of Granian that were still running when their server had stopped."""


@atexit.register
def _outlive_runtimes() -> None:
    """Wait for these threads: the interpreter aborts if it ends before them."""
    deadline = time.monotonic() + STOP_WITHIN
    while _ending & _native_threads() and time.monotonic() < deadline:
        time.sleep(0.002)


class _Server(Server):
    """Granian on an existing socket, which no other process shares."""

    def __init__(self, app: ASGIApp, listener: socket.socket):
        super().__init__(app, interface=Interfaces.ASGINL, websockets=False, log_enabled=False)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._ssp, self._shd = None, ports.granian_socket(self._listener)


def _native_threads() -> set[str]:
    """Return the ids of all threads of the process, if the system has /proc."""
    return {task.name for task in TASKS.iterdir()} if TASKS.exists() else set()


def _python_threads() -> set[str]:
    return {str(thread.native_id) for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}
