"""The Dockerfile, executed step by step in a folder, because tests may run without a container engine."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = ROOT / "Dockerfile"


@pytest.mark.long
def test_the_built_image_is_complete_and_runs_the_demo(tmp_path: Path):
    """One test, because the build takes most of the time."""
    folder = _built(tmp_path / "build")
    _holds_every_file(folder)
    _comes_from_the_sdist_as_well(folder)
    _holds_no_simulator(folder)
    _runs_the_whole_loop(folder, tmp_path / "home")


def test_the_dockerfile_has_no_warning():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, "--no-color", "--failure-threshold", "warning", DOCKERFILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_image_has_its_own_user_and_a_health_check():
    last = DOCKERFILE.read_text("utf-8").rpartition("\nFROM ")[2]
    assert "\nUSER 10001\n" in last
    assert "/health" in last.partition("HEALTHCHECK")[2]


def _built(folder: Path) -> Path:
    """Execute every RUN line of the build stage on the files that .dockerignore allows. Return the folder."""
    folder.mkdir()
    for name in _context():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    # The image has `python`; this machine may have only `python3`.
    programs = folder.with_name("programs")
    programs.mkdir()
    (programs / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    environment = _environment() | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    for step in _steps("build"):
        done = subprocess.run(
            ["/bin/sh", "-ec", step], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{step}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return folder


def _holds_no_simulator(built: Path) -> None:
    """A production install has neither the simulators nor what only they import, and says how to get them."""
    packages = next((built / "app").glob("lib/python3*/site-packages"))
    assert not (packages / "proofdesk_simulators").exists() and not (packages / "aiosmtpd").exists()
    for command in (["demo", "--once"], ["simulate", "smtp"]):
        done = _proofdesk(built, built, *command)
        assert done.returncode == 1 and "Install proofdesk[demo] to use this command." in done.stderr, done.stderr


def _runs_the_whole_loop(built: Path, home: Path) -> None:
    """With the extra `demo`, which `make dist` builds from the same tree."""
    home.mkdir()
    tools, app = built / "tools" / "bin", built / "app" / "bin" / "python"
    install = [tools / "uv", "pip", "install", "--quiet", "--python", app]
    for command in (
        [tools / "python", "-m", "build", "--no-isolation", "--outdir", built / "dist", ROOT / "simulators"],
        [*install, "--require-hashes", "-r", ROOT / "requirements" / "demo.lock"],
        [*install, "--no-index", "--find-links", built / "dist", "proofdesk[demo]"],
    ):
        made = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
    done = _proofdesk(built, home, "demo", "--once")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Search: ") == 3


def _proofdesk(built: Path, home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [built / "app" / "bin" / "proofdesk", *arguments],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PROOFDESK_HOME": str(home / "proofdesk")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _holds_every_file(built: Path) -> None:
    installed = next((built / "app").glob("lib/python3*/site-packages/proofdesk"))
    ours = {p.relative_to(built / "src/proofdesk") for p in (built / "src/proofdesk").rglob("*") if p.is_file()}
    theirs = {p.relative_to(installed) for p in installed.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert {p for p in ours if p.suffix != ".pyc"} == theirs
    assert any(p.suffix == ".js" and "static" in p.parts for p in theirs)
    pages = {p.relative_to(ROOT / "docs") for p in (ROOT / "docs").rglob("*.md")}
    help_pages = {p for p in theirs if p.is_relative_to("http/web/built/help") and p.suffix == ".html"}
    assert len(help_pages) == len(pages), "the help is complete"


def _comes_from_the_sdist_as_well(built: Path) -> None:
    """Packagers start from the sdist."""
    made = [*built.glob("dist/*.tar.gz"), *built.glob("dist/*.whl")]
    assert len(made) == 2, made
    unpacked = built / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "xzf", made[0], "-C", unpacked, "--strip-components=1"], check=True)
    python = built / "tools" / "bin" / "python"
    subprocess.run(
        [python, "-m", "build", "--no-isolation", "--wheel", "--outdir", built / "again", unpacked],
        check=True,
        capture_output=True,
        env=_environment(),
    )
    again = next((built / "again").glob("*.whl"))
    assert again.name == made[1].name
    assert _names(again) == _names(made[1])


def _context() -> list[str]:
    """Return the tracked and unignored files that .dockerignore allows."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *allowed],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def _steps(stage: str) -> list[str]:
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    body = text.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
    steps = [line.removeprefix("RUN ") for line in body.splitlines() if line.startswith("RUN ")]
    assert len(steps) >= 4
    return steps


def _environment() -> dict[str, str]:
    """Return the environment of the build: where programs and packages come from."""
    kept = ("PATH", "HOME", "PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "SSL_", "HTTP", "http", "NODE_EXTRA")
    return {name: value for name, value in os.environ.items() if name.startswith(kept) and name != "PYTHONPATH"}


def _names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as packed:
        return sorted(packed.namelist())
