"""Ports to listen on. An unavailable port is refused with one line that names the process that uses it."""

import contextlib
import errno
import os
import socket
from typing import Any

import psutil

from proofdesk.errors import Unavailable

BACKLOG = 1024
FIRST_UNPRIVILEGED = 1024


class PortUnavailable(Unavailable):
    """The address cannot be listened on."""

    code = "port_unavailable"


def listen(host: str, port: int, names: tuple[str, str] = ("HOST", "PORT")) -> socket.socket:
    """Return a socket that listens there; port 0 is any free one. `names` are the settings that change them.

    The socket is not shared (SO_REUSEPORT), so no other process can listen there; processes of one server inherit it.
    Raises `PortUnavailable`.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise PortUnavailable(f"{names[0]}={host!r} is no address of this machine. Set 127.0.0.1 or 0.0.0.0.") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections of an earlier server remain
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PortUnavailable(_explain(error, host, port, names)) from None
    return listener


def granian_socket(listener: socket.socket) -> Any:
    """Return the socket in the form that Granian uses where ports cannot be shared, as on macOS.

    Elsewhere Granian opens sockets of its own with SO_REUSEPORT, which every process of the same user may join.
    """
    from granian._granian import SocketHolder

    make: Any = SocketHolder  # the stub declares no arguments
    return make(os.dup(listener.fileno()), False, BACKLOG)  # it closes its descriptor


def check(host: str, port: int, names: tuple[str, str] = ("HOST", "PORT")) -> None:
    """Raise `PortUnavailable` if no process could listen there now."""
    listen(host, port, names).close()


def url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches the listener."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explain(error: OSError, host: str, port: int, names: tuple[str, str]) -> str:
    address, variable = names
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} is in use{_listening_process(port)}. Stop that, or set {variable} to another port."
        case errno.EACCES:
            return f"Only root may open port {port}. Set {variable} to {FIRST_UNPRIVILEGED} or more."
        case errno.EADDRNOTAVAIL:
            return f"{address}={host!r} is no address of this machine. Set 127.0.0.1 or 0.0.0.0."
        case _:
            return f"Port {port} of {host} cannot be opened: {os.strerror(error.errno or 0)}."


def _listening_process(port: int) -> str:
    """Return the name of the listening process, if this user may see it; of several processes, the parent."""
    with contextlib.suppress(psutil.Error, OSError):
        pids = [found.pid for found in psutil.net_connections("tcp") if found.pid and _listens(found, port)]
        process = psutil.Process(pids[0]) if pids else None
        while process is not None:
            parent = process.parent()
            if parent is None or not any(_listens(found, port) for found in parent.net_connections("tcp")):
                return f" by {_name(process)} (process {process.pid})"
            process = parent
    return ""


def _listens(connection: Any, port: int) -> bool:
    return connection.status == psutil.CONN_LISTEN and connection.laddr.port == port


def _name(process: psutil.Process) -> str:
    return "proofdesk" if "proofdesk" in " ".join(process.cmdline()[:4]) else process.name()
