"""Whatever is wrong with the machine or the settings, a command prints one line without traceback or secret."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.people import SystemUser, user
from tests.support.terminal import Terminal

SECRET = "Tr1ck-y-pass"
URL = f"postgresql://desk:{SECRET}@127.0.0.1"
COMMANDS = [
    ("migrate",),
    ("serve",),
    ("worker",),
    ("up",),
    ("doctor",),
    ("config",),
    ("project", "list"),
    ("audit", "verify"),
    ("backup", "{folder}/new.dump"),
]
MISTYPED = [
    f"postgresql+psycopg://desk:{SECRET}@127.0.0.1/desk",
    f"{URL}/desk?pgbouncer=true",
    f"{URL}:99999/desk",
    f"postgresql://desk:{SECRET}%@127.0.0.1/desk",
    f"postgresql://desk:{SECRET}@/desk",
    f"postgresql://desk:{SECRET}/x@127.0.0.1/desk",
    f"{URL}/desk\n{URL}/desk",
]


def one_line(done: "subprocess.CompletedProcess[str]", status: int = 1) -> str:
    """Return the error line of a command that failed as expected."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert SECRET not in done.stderr + done.stdout
    assert done.stderr.count("\n") == 1 and len(done.stderr) <= 301, done.stderr
    assert done.stderr.startswith("proofdesk: ") and done.stderr.endswith(".\n"), done.stderr
    return done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a file and a subfolder, open to every user."""
    root = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))
    root.chmod(0o755)
    (root / "file").write_text("not a backup\n")
    (root / "sub").mkdir()
    yield root
    shutil.rmtree(root)


@pytest.fixture
def ada(folder: Path) -> Iterator[SystemUser]:
    """A user who is not root."""
    with user("pd-eve-", folder) as person:
        yield person


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_names_a_mistyped_database_url(terminal: Terminal, folder: Path, command: tuple[str, ...]):
    line = one_line(run(terminal, folder, command, {"DATABASE_URL": MISTYPED[0]}))
    assert line.startswith("proofdesk: DATABASE_URL=********: ")


@pytest.mark.parametrize("url", MISTYPED)
def test_every_mistyped_database_url_is_named(terminal: Terminal, folder: Path, url: str):
    one_line(run(terminal, folder, ("migrate",), {"DATABASE_URL": url}))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in (("config",), ("doctor",))], ids=" ".join)
def test_every_command_reports_an_unreachable_database(terminal: Terminal, folder: Path, command: tuple[str, ...]):
    place = {"DATABASE_URL": f"{URL}:1/desk", "PORT": "0"}
    assert "refused" in one_line(run(terminal, folder, command, place))


def test_doctor_names_an_unreachable_database(terminal: Terminal, folder: Path):
    result = run(terminal, folder, ("doctor",), {"DATABASE_URL": f"{URL}:1/desk"})
    headline = "Database and disk: The database cannot be reached."
    assert (result.returncode, result.stderr) == (1, "") and headline in result.stdout.splitlines()[2]


def test_doctor_changes_nothing(terminal: Terminal, folder: Path):
    home = folder / "home"
    result = run(terminal, folder, ("doctor", "database-and-disk"), {"PROOFDESK_HOME": str(home)})
    assert result.returncode == 1 and "There is no database in" in result.stdout
    assert not home.exists()


SETTINGS = {
    "PUBLIC_URL": [f"https://u:{SECRET}@desk.example", "desk.example", "https://desk.example/path", "ftp://x" * 100],
    "CHATWOOT_API_TOKEN": [f"{SECRET}\n{SECRET}", f"'{SECRET}'"],
    "OPENAI_API_KEY": [f"{SECRET} {SECRET}"],
    "CHATWOOT_BASE_URL": [f"https://u:{SECRET}@chat .example"],
    "SMTP_URL": [f"smtp://u:{SECRET}@mail.example:x"],
    "CORS_ORIGIN": [f"https://u:{SECRET}@app.example"],
    "PROOFDESK_HOME": ["~no-such-user/desk"],
    "PORT": ["http", "70000", "-1"],
    "LOG_LEVEL": ["loud"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in SETTINGS for value in SETTINGS[name]])
def test_an_invalid_setting_is_named(terminal: Terminal, folder: Path, name: str, value: str):
    assert one_line(run(terminal, folder, ("config",), {name: value})).startswith(f"proofdesk: {name}=")


FILES = {
    "backup to a missing folder": ("backup", "{folder}/none/desk.dump"),
    "backup onto a folder": ("backup", "{folder}/sub"),
    "backup below a file": ("backup", "{folder}/file/desk.dump"),
    "restore from garbage": ("restore", "{folder}/file"),
}


@pytest.mark.parametrize("command", FILES.values(), ids=FILES)
def test_an_unusable_file_is_named(terminal: Terminal, folder: Path, database_url: str, command: tuple[str, ...]):
    place = {} if command[0] == "restore" else {"DATABASE_URL": database_url}
    one_line(run(terminal, folder, command, place | {"PROOFDESK_HOME": str(folder / "home")}))
    assert sorted(p.name for p in folder.iterdir() if p.name != "home") == ["file", "sub"]


USAGE = [
    ("no-such-command",),
    ("sync", "--no-such-option"),
    ("search",),
    ("restore", "{folder}/none"),
    ("restore", "{folder}/sub"),
    ("serve", "too", "much"),
]


@pytest.mark.parametrize("command", USAGE, ids=" ".join)
def test_wrong_usage_is_one_line_with_exit_status_2(terminal: Terminal, folder: Path, command: tuple[str, ...]):
    assert "See `proofdesk" in one_line(run(terminal, folder, command, {}), status=2)


@pytest.mark.parametrize("place", ["{folder}/file", "{folder}/file/desk", "{folder}/" + "x" * 300, "/dev/null"])
def test_a_home_that_is_not_a_folder_is_reported(terminal: Terminal, folder: Path, place: str):
    one_line(run(terminal, folder, ("project", "list"), {"PROOFDESK_HOME": place.format(folder=folder)}))


def test_a_full_disk_is_reported(terminal: Terminal, folder: Path):
    with full_disk(folder / "sub"):
        for _ in range(2):
            done = run(terminal, folder, ("project", "list"), {"PROOFDESK_HOME": str(folder / "sub" / "desk")})
            assert "full" in one_line(done)


def test_unwritable_output_is_reported(folder: Path):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "PROOFDESK_HOME": str(folder)}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "proofdesk", "config"],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "disk is full" in done.stderr, done.stderr


@pytest.mark.parametrize(
    "locale", [{"PYTHONIOENCODING": "latin-1"}, {"LANG": "C"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}]
)
def test_characters_that_the_terminal_lacks_are_replaced(tidy_url: str, locale: dict[str, str]):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": tidy_url}

    def command(*arguments: str, **more: str) -> "subprocess.CompletedProcess[bytes]":
        program = [sys.executable, "-m", "proofdesk", *arguments]
        return subprocess.run(program, env=environment | more, capture_output=True)

    made = command("project", "create", "Студия → ✓")
    listed = command("project", "list", **locale)
    for done in (made, listed):
        assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    assert "Студия".encode() in listed.stdout or b"??????" in listed.stdout


def test_an_argument_in_another_encoding_is_reported(terminal: Terminal, folder: Path, tidy_url: str):
    done = run(terminal, folder, ("project", "create", os.fsdecode(b"caf\xe9")), {"DATABASE_URL": tidy_url})
    assert "UTF-8" in done.stderr.splitlines()[-1] and done.returncode == 1 and "Traceback" not in done.stderr


@pytest.mark.long
def test_missing_permissions_are_reported(ada: SystemUser, folder: Path, database_url: str):
    place = {"DATABASE_URL": database_url}
    closed = folder / "sub"
    closed.chmod(0o555)
    assert "not writable" in one_line(ada.run("backup", str(closed / "desk.dump"), environment=place))
    assert "cannot be written" in one_line(ada.run("project", "list", environment={"HOME": "/nonexistent"}))
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 80:
        assert "Only root may open port 80." in one_line(ada.run("serve", environment=place | {"PORT": "80"}))


def test_an_unexpected_error_is_one_line_and_debug_shows_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from proofdesk.cli import errors
    from proofdesk.core import redaction

    redaction.register_secrets([SECRET])
    error = KeyError(f"line one {SECRET}\n" + "x" * 1000)
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    assert errors.report_error(ExceptionGroup("tasks", [error])) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and len(line) <= 301 and SECRET not in line and "LOG_LEVEL=debug" in line
    monkeypatch.setenv("LOG_LEVEL", "debug")
    errors.report_error(error)
    traceback = capsys.readouterr().err
    assert traceback.count("\n") > 1 and SECRET not in traceback


class full_disk:
    """A file system of 20 MB. Skips the test if none can be mounted."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None:
        command = ["mount", "-t", "tmpfs", "-o", "size=20m,mode=755", "none", str(self._folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs root to mount a small file system")

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self._folder)], check=True)


def run(
    terminal: Terminal, folder: Path, command: tuple[str, ...], environment: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a command with these variables. Its home is the folder by default."""
    arguments = tuple(part.format(folder=folder) if "{folder}" in part else part for part in command)
    return terminal(
        arguments, {"HOME": str(folder), "EMBEDDING_PROVIDER": "local", "EMBEDDING_DIM": "256"} | environment
    )
