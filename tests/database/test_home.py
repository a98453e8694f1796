"""Homes of other users are not touched, and homes of any name work."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proofdesk.database import embedded, home, postgres_server
from proofdesk.database.home import SYSTEM_USER, HomeUnavailable
from tests.support.people import SystemUser, interpreter, root, user

LIST = ("project", "list")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike those of pytest."""
    made = Path(tempfile.mkdtemp(prefix="homes-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def ada(folder: Path) -> Iterator[SystemUser]:
    """A second user."""
    with user("pd-ada-", folder) as person:
        yield person


@pytest.fixture
def ben(folder: Path) -> Iterator[SystemUser]:
    """A third user."""
    with user("pd-ben-", folder) as person:
        yield person


def owners(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return owner, group and mode of the folder, its parent and everything in it."""
    everything = [path.parent, path, *sorted(path.rglob("*"))]
    return {str(p): (s.st_uid, s.st_gid, s.st_mode) for p in everything for s in [p.lstat()]}


def told(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the one line of the error of a command."""
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and len(done.stderr) <= 300 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


@pytest.mark.long
def test_root_does_not_touch_the_home_of_a_user(ada: SystemUser, folder: Path):
    place = {"PROOFDESK_HOME": str(ada.home / "desk")}
    first = ada.run(*LIST, environment=place)
    assert first.returncode == 0, first.stderr
    before = owners(ada.home / "desk")
    line = told(root(folder).run(*LIST, environment=place))
    assert f"belongs to {ada.name}" in line
    assert owners(ada.home / "desk") == before
    command = line.split("`")[1].replace("proofdesk …", f"{interpreter(ada.uid)} -m proofdesk project list")
    command = command.replace("-- env ", f"-- env HOME={ada.home} PYTHONPATH='{ada.environment()['PYTHONPATH']}' ")
    followed = subprocess.run(command, shell=True, cwd="/", capture_output=True, text=True)
    assert followed.returncode == 0, followed.stderr
    again = ada.run(*LIST, environment=place)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("command", [LIST, ("demo", "--once"), ("backup", "/dev/null/x"), ("serve",)], ids=" ".join)
def test_root_creates_no_home_in_the_folder_of_a_user(ada: SystemUser, folder: Path, command: tuple[str, ...]):
    place = {"PROOFDESK_HOME": str(ada.home / ".local" / "share" / "proofdesk"), "PORT": "0"}
    before = owners(ada.home)
    told(root(folder).run(*command, environment=place))
    assert owners(ada.home) == before


def test_error_names_the_owner_of_the_home(ada: SystemUser, ben: SystemUser, folder: Path):
    roots, bens = folder / "of-root", folder / "of-ben"
    for path, uid, data_uid in ((roots, 0, pwd.getpwnam("nobody").pw_uid), (bens, ben.uid, ben.uid)):
        (path / "postgres").mkdir(parents=True)
        os.chown(path, uid, uid)
        os.chown(path / "postgres", data_uid, data_uid)
    assert "belongs to nobody" in told(ada.run(*LIST, environment={"PROOFDESK_HOME": str(roots)}))
    line = told(ada.run(*LIST, environment={"PROOFDESK_HOME": str(bens)}))
    assert f"belongs to {ben.name}" in line and f"sudo -u {ben.name} " in line
    bens.chmod(0o700)
    told(ada.run(*LIST, environment={"PROOFDESK_HOME": str(bens)}))
    (roots / "postgres").rmdir()
    assert "belongs to root" in told(ada.run(*LIST, environment={"PROOFDESK_HOME": str(roots)}))


def test_error_tells_a_locked_out_user_what_to_run(ada: SystemUser):
    data = ada.home / "desk" / "postgres"
    data.mkdir(parents=True)
    os.chown(data.parent, ada.uid, ada.gid)
    line = told(ada.run(*LIST, environment={"PROOFDESK_HOME": str(data.parent)}))
    assert f"`sudo chown -R {ada.name}: {data.parent}`" in line


def test_read_only_home_is_reported(ada: SystemUser):
    ada.home.chmod(0o555)
    assert "cannot be written" in told(ada.run(*LIST, environment={"PROOFDESK_HOME": str(ada.home / "desk")}))


def test_root_opens_no_folder_of_a_user_to_others(ada: SystemUser):
    ada.home.chmod(0o700)
    system = home.server_user()
    with pytest.raises(HomeUnavailable, match=f"cannot enter {ada.home}"):
        home.allow_traversal(ada.home / "programs" / "postgres", system)
    assert ada.home.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a user for the server")
def test_root_finds_useradd_outside_its_path(monkeypatch: pytest.MonkeyPatch, folder: Path):
    tool, log = folder / "useradd", folder / "log"
    tool.write_text(f'#!/bin/sh\necho "$@" >> {log}\necho "useradd: no room" >&2\nexit 1\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(home, "SYSTEM_USER", "pd-nobody-has-this")
    monkeypatch.setattr(home, "_ADMIN_FOLDERS", (str(folder),))
    with pytest.raises(HomeUnavailable, match=r"cannot be created: useradd: no room\."):
        home.server_user()
    assert "pd-nobody-has-this" in log.read_text()
    tool.unlink()
    with pytest.raises(HomeUnavailable, match="there is no useradd"):
        home.server_user()


@pytest.mark.parametrize(
    "name",
    ["a b", "o'brien\"s", "100%25 ~me", "ünï-дом", "a,b", "a$HOME`id`\\n;x&*", "x" * 150, os.fsdecode(b"\xff\xfe")],
    ids=ascii,
)
def test_home_can_have_any_name(folder: Path, name: str):
    with embedded.running_server(folder / name) as url, psycopg.connect(url) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        with embedded.running_server(folder / name) as again:
            assert again == url
    assert postgres_server.read_running(folder / name / "postgres") is None, "it was stopped"


def test_incomplete_cluster_is_created_again(folder: Path):
    unfinished = folder / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded.running_server(folder) as url, psycopg.connect(url) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert not unfinished.exists()


def test_stale_postmaster_file_is_ignored(folder: Path):
    with embedded.running_server(folder):
        pid_file = (folder / "postgres" / "postmaster.pid").read_text()
    (folder / "postgres" / "postmaster.pid").write_text(pid_file.replace(pid_file.split()[0], str(os.getpid()), 1))
    with embedded.running_server(folder) as url, psycopg.connect(url) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_path_too_long_for_postgresql_is_reported(folder: Path):
    with pytest.raises(HomeUnavailable, match="longer than 900 bytes"), embedded.running_server(folder / ("x/" * 500)):
        pass


def test_socket_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgres_server, "MAX_SOCKET_BYTES", 5)
    monkeypatch.setattr(postgres_server.hashlib, "sha256", lambda _: _Fixed())
    foreign = Path("/tmp", f"proofdesk-{_Fixed.value}")
    foreign.mkdir(mode=0o755)
    try:
        with pytest.raises(HomeUnavailable, match="not a private folder"), embedded.running_server(folder):
            pass
    finally:
        foreign.rmdir()


class _Fixed:
    value = f"test{os.getpid()}"

    def hexdigest(self) -> str:
        return self.value


def test_system_user_cannot_sign_in():
    if os.geteuid() != 0:
        pytest.skip("only root needs a user for the server")
    home.server_user()
    assert pwd.getpwnam(SYSTEM_USER).pw_uid != 0
