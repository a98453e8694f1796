"""Check who owns the folder of the embedded database, and which user its server runs as.

PostgreSQL refuses to run as root. A system user runs the servers of databases that root owns. Databases of other users
are not touched, since files with another owner would lock them out.
"""

import errno
import os
import pwd
import shlex
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from proofdesk.errors import Unavailable

SYSTEM_USER = "embedded_postgres"
MAX_PATH_BYTES = 900
"""PostgreSQL accepts paths of 1024 bytes. This leaves room for the names of its files."""
_ADMIN_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


class HomeUnavailable(Unavailable):
    """This process cannot use the folder of the embedded database. Nothing was changed."""

    code = "home_unavailable"


@dataclass(frozen=True)
class ServerUser:
    """The user that the server of a home runs as."""

    uid: int
    gid: int


def check_home(home: Path) -> None:
    """Check that this user can have a database in the folder. Raises `HomeUnavailable` with advice."""
    if len(os.fsencode(home)) > MAX_PATH_BYTES or set(str(home)) & {"\n", "\r"}:
        raise HomeUnavailable(
            f"PROOFDESK_HOME={display_path(home)} is longer than {MAX_PATH_BYTES} bytes or has a line break in it."
            " Set it to a shorter path."
        )
    try:
        folder, status = _nearest(home)
        if not stat.S_ISDIR(status.st_mode):
            raise HomeUnavailable(f"PROOFDESK_HOME={display_path(folder)} is a file. Set PROOFDESK_HOME to a folder.")
        data = _status(home / "postgres")
    except OSError as error:
        raise home_error(error, home) from None
    _check_owner(home, status.st_uid, data.st_uid if data else None)
    if status.st_uid not in (0, os.geteuid()) or folder == home:
        _check_writable(home, folder, status.st_uid)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise home_error(OSError(errno.EACCES, ""), home)


def server_user() -> ServerUser | None:
    """Return the user that runs the servers of root, creating it if needed. None when this process is not root's.

    Raises `HomeUnavailable`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _create_system_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return ServerUser(entry.pw_uid, entry.pw_gid)


def allow_traversal(path: Path, user: ServerUser | None) -> None:
    """Let the user of the server traverse the folders of root above a path. Folders of other users are not changed."""
    if user is None:
        return
    for folder in reversed(path.resolve().parents):
        status = folder.stat()
        if status.st_mode & stat.S_IXOTH or status.st_uid == user.uid:
            continue
        if status.st_uid != 0:
            raise HomeUnavailable(
                f"The user {SYSTEM_USER} runs the embedded database of root, and cannot enter {display_path(folder)}."
                f" Run Proofdesk as {_name(status.st_uid)}, or install it and set PROOFDESK_HOME outside that folder."
            )
        folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def home_error(error: OSError, home: Path) -> HomeUnavailable:
    """Return the error to report, with advice, when the system refused access to the home."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            what, advice = "is on a disk that is full", "Free at least 100 MB there"
        case errno.ENOTDIR | errno.EEXIST:
            what, advice = "leads through a file", "Name a folder"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            what, advice = f"cannot be written by {_name(os.geteuid())}", "Make it writable"
        case _:
            what, advice = f"cannot be used: {os.strerror(error.errno or errno.EIO)}", "Check it"
    return HomeUnavailable(
        f"PROOFDESK_HOME={display_path(home)} {what}. {advice}, or set PROOFDESK_HOME to another folder."
    )


def display_path(path: Path) -> str:
    """Return a path shortened to one line."""
    text = os.fsencode(path).decode(errors="replace")
    return " ".join((text if len(text) <= 100 else f"{text[:40]}…{text[-50:]}").splitlines())


def _check_owner(home: Path, owner: int, data_owner: int | None) -> None:
    me = os.geteuid()
    if me == 0:
        ours = {0, _system_uid()}
        stranger = next((uid for uid in (owner, data_owner) if uid is not None and uid not in ours), None)
        if stranger is not None:
            raise _wrong_owner(home, stranger, "Root would lock them out.")
    elif data_owner is not None and data_owner != me:
        if owner == me:
            command = shlex.join(["sudo", "chown", "-R", f"{_name(me)}:", str(home)])
            raise HomeUnavailable(
                f"The database in {display_path(home)} now belongs to {_name(data_owner)}. Run `{command}`."
            )
        raise _wrong_owner(home, 0 if data_owner == _system_uid() else data_owner)


def _check_writable(home: Path, folder: Path, owner: int) -> None:
    if os.geteuid() not in (0, owner) and not os.access(folder, os.W_OK | os.X_OK):
        raise _wrong_owner(home, owner)


def _wrong_owner(home: Path, uid: int, why: str = "") -> HomeUnavailable:
    name = _name(uid)
    text = f"{display_path(home)} belongs to {name}. {why}".strip()
    command = shlex.join([*_run_as(uid, name), "env", f"PROOFDESK_HOME={display_path(home)}"])
    return HomeUnavailable(f"{text} Run `{command} proofdesk …`, or set PROOFDESK_HOME to a folder of yours.")


def _run_as(uid: int, name: str) -> list[str]:
    """Return the command that runs another command as a user, with a program that the machine has."""
    if shutil.which("sudo") or os.geteuid() != 0:
        return ["sudo", "-u", f"#{uid}" if name.isdecimal() else name, "--"]
    return ["setpriv", f"--reuid={uid}", "--clear-groups"] if name.isdecimal() else ["runuser", "-u", name, "--"]


def _nearest(path: Path) -> tuple[Path, os.stat_result]:
    """Return the path if it exists, or the nearest folder above it, with its status."""
    for folder in (path, *path.parents):
        status = _status(folder)
        if status is not None:
            return folder, status
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_uid() -> int | None:
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except KeyError:
        return None


def _create_system_user() -> None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_ADMIN_FOLDERS])
    if (program := shutil.which("useradd", path=path)) is not None:
        command = [
            program,
            "--system",
            "--no-create-home",
            "--home-dir",
            "/nonexistent",
            "--shell",
            "/usr/sbin/nologin",
        ]
    elif (program := shutil.which("adduser", path=path)) is not None:  # of BusyBox
        command = [program, "-S", "-D", "-H"]
    else:
        command = ["useradd"]
    result = subprocess.run([*command, SYSTEM_USER], capture_output=True, text=True, check=False) if program else None  # noqa: S603
    if result is None or result.returncode:
        why = result.stderr.strip().splitlines()[-1] if result and result.stderr.strip() else "there is no useradd"
        raise HomeUnavailable(
            f"Root cannot run PostgreSQL, and the user {SYSTEM_USER} cannot be created: {why}."
            " Create that user, run Proofdesk as another user, or set DATABASE_URL."
        )
