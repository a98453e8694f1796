"""Commands of Proofdesk, run in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path


def shell(script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run shell commands as a documentation page writes them."""
    program = f'proofdesk() {{ "{sys.executable}" -m proofdesk "$@"; }}\n'
    return _run(["bash", "-euc", program + script], environment)


def proofdesk(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Proofdesk."""
    return _run([sys.executable, "-m", "proofdesk", *map(str, arguments)], environment)


def start_proofdesk(*arguments: str | Path, **environment: str) -> "subprocess.Popen[bytes]":
    """Start a command of Proofdesk without waiting for its end."""
    command = [sys.executable, "-m", "proofdesk", *map(str, arguments)]
    return subprocess.Popen(command, env=_environment(environment), stdout=subprocess.DEVNULL)


def _run(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _environment(environment: dict[str, str]) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONPATH": os.pathsep.join(sys.path),
    } | environment
