"""Users of the operating system, and commands that they run."""

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PYTHONPATH = os.pathsep.join(sys.path)


@dataclass(frozen=True)
class SystemUser:
    """A user of the operating system, with a home folder."""

    name: str
    uid: int
    gid: int
    home: Path

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command of Proofdesk as this user."""
        options = {} if self.uid == os.geteuid() else {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(
            [interpreter(self.uid), "-m", "proofdesk", *arguments],
            env=self.environment() | dict(environment or {}),
            cwd="/",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=240,
            check=False,
            **options,
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of their shell."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": PYTHONPATH}


@contextlib.contextmanager
def user(name: str, folder: Path) -> Iterator[SystemUser]:
    """Create a user for a test and remove it afterwards. Skips the test if that is not possible."""
    if os.geteuid() != 0 or shutil.which("useradd", path="/usr/sbin:/sbin") is None:
        pytest.skip("only root can make the second user of this test")
    name = f"{name}{secrets.token_hex(3)}"  # another test run may create a user at the same time
    home = folder / name
    useradd = ["/usr/sbin/useradd", "--no-create-home", "--home-dir", str(home), "--shell", "/bin/sh", name]
    subprocess.run(useradd, check=True)
    try:
        entry = pwd.getpwnam(name)
        home.mkdir(mode=0o755)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        yield SystemUser(name, entry.pw_uid, entry.pw_gid, home)
    finally:
        subprocess.run(["/usr/sbin/userdel", name], check=False, capture_output=True)


def root(folder: Path) -> SystemUser:
    """Return root, with a home in this folder."""
    return SystemUser("root", 0, 0, folder / "root")


@cache
def interpreter(uid: int) -> str:
    """Return a Python that this user may run. Skips the test without one."""
    for candidate in (sys.executable, shutil.which("python3.11", path="/usr/bin") or ""):
        with contextlib.suppress(OSError):
            command = [candidate, "-c", "import psycopg, proofdesk.cli"]
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": PYTHONPATH}
            if not subprocess.run(command, env=environment, cwd="/", user=uid, capture_output=True).returncode:
                return candidate
    pytest.skip("the second user may not run this Python")
