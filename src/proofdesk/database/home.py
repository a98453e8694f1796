"""Whose the folder of the embedded database is, and as which user its server runs.

PostgreSQL refuses to run as root. Root's own databases are served by a system user; those of other people are left
alone, since a file that changed its owner would lock them out.
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
"""Bytes of a path that PostgreSQL takes (1024), with room for the names of its files."""
_WHERE_ADMINISTRATION_IS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


class HomeUnavailable(Unavailable):
    """The folder of the embedded database cannot be used by this process. Nothing was changed."""

    code = "home_unavailable"


@dataclass(frozen=True)
class ServerUser:
    """The user that the server of a home runs as."""

    uid: int
    gid: int


def check_home(home: Path) -> None:
    """Raise `HomeUnavailable`, with what to do, unless this user may keep a database in the folder."""
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
    """Return the user that root's servers run as, made if need be; None when this process is not root's.

    Raises `HomeUnavailable`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
        entry = pwd.getpwnam(SYSTEM_USER)
    return ServerUser(entry.pw_uid, entry.pw_gid)


def allow_traversal(path: Path, user: ServerUser | None) -> None:
    """Let the server's user walk to a path of root's. Folders of other people stay as closed as they are."""
    if user is None:
        return
    for folder in reversed(path.resolve().parents):
        found = folder.stat()
        if found.st_mode & stat.S_IXOTH or found.st_uid == user.uid:
            continue
        if found.st_uid != 0:
            raise HomeUnavailable(
                f"The user {SYSTEM_USER}, as which root runs the embedded database, may not enter {display_path(folder)}."
                f" Run Proofdesk as {_name(found.st_uid)}, or install it and set PROOFDESK_HOME outside that folder."
            )
        folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def home_error(error: OSError, home: Path) -> HomeUnavailable:
    """Return the error of a person for what the system refused in the home."""
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
    """Return a path as it fits into a line."""
    text = os.fsencode(path).decode(errors="replace")
    return " ".join((text if len(text) <= 100 else f"{text[:40]}…{text[-50:]}").splitlines())


def _check_owner(home: Path, owner: int, data_owner: int | None) -> None:
    me = os.geteuid()
    if me == 0:
        ours = {0, _system_uid()}
        stranger = next((uid for uid in (owner, data_owner) if uid is not None and uid not in ours), None)
        if stranger is not None:
            raise _belongs(home, stranger, "Root would lock them out.")
    elif data_owner is not None and data_owner != me:
        if owner == me:
            command = shlex.join(["sudo", "chown", "-R", f"{_name(me)}:", str(home)])
            raise HomeUnavailable(
                f"The database in {display_path(home)} was taken by {_name(data_owner)}. Run `{command}`."
            )
        raise _belongs(home, 0 if data_owner == _system_uid() else data_owner)


def _check_writable(home: Path, folder: Path, owner: int) -> None:
    if os.geteuid() not in (0, owner) and not os.access(folder, os.W_OK | os.X_OK):
        raise _belongs(home, owner)


def _belongs(home: Path, uid: int, why: str = "") -> HomeUnavailable:
    name = _name(uid)
    text = f"{display_path(home)} belongs to {name}. {why}".strip()
    command = shlex.join([*_through(uid, name), "env", f"PROOFDESK_HOME={display_path(home)}"])
    return HomeUnavailable(f"{text} Run `{command} proofdesk …`, or set PROOFDESK_HOME to a folder of yours.")


def _through(uid: int, name: str) -> list[str]:
    """How a command is run as another user, with what the machine has for that."""
    if shutil.which("sudo") or os.geteuid() != 0:
        return ["sudo", "-u", f"#{uid}" if name.isdecimal() else name, "--"]
    return ["setpriv", f"--reuid={uid}", "--clear-groups"] if name.isdecimal() else ["runuser", "-u", name, "--"]


def _nearest(path: Path) -> tuple[Path, os.stat_result]:
    """The path, or the folder in which it would be made."""
    for folder in (path, *path.parents):
        found = _status(folder)
        if found is not None:
            return folder, found
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


def _make_system_user() -> None:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_WHERE_ADMINISTRATION_IS])
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
    done = subprocess.run([*command, SYSTEM_USER], capture_output=True, text=True, check=False) if program else None  # noqa: S603
    if done is None or done.returncode:
        why = done.stderr.strip().splitlines()[-1] if done and done.stderr.strip() else "there is no useradd"
        raise HomeUnavailable(
            f"Root cannot run PostgreSQL, and the user {SYSTEM_USER} cannot be made: {why}."
            " Make that user, run Proofdesk as another one, or set DATABASE_URL."
        )
