"""Run every check of the project, the fastest first. `make test` calls it.

Arguments are passed to pytest, which then runs alone: `make test ARGS="tests/chatwoot -k deleted"`.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

CHECKS = (
    ("format", [BIN / "ruff", "format", "--check", "--quiet", "."]),
    ("lint", [BIN / "ruff", "check", "--quiet", "."]),
    ("types", [BIN / "pyright", "--warnings"]),
    ("import order", [BIN / "lint-imports", "--no-cache"]),
    ("reference docs", [BIN / "python", "scripts/reference.py", "--check"]),
    ("tests and docs", [BIN / "python", "-m", "pytest"]),
)


def main() -> int:
    """Run all checks, so that one run reports every failure. Return 0 when all pass, otherwise 1."""
    if arguments := sys.argv[1:]:
        return subprocess.run([BIN / "python", "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
    failed = [name for name, command in CHECKS if not _passes(name, command)]
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll checks pass.")
    return 1 if failed else 0


def _passes(name: str, command: list[str | Path]) -> bool:
    started = time.monotonic()
    print(f"── {name}", flush=True)
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=None if name.startswith("tests") else subprocess.PIPE)
    if done.returncode and done.stdout:
        print(done.stdout.decode())
    print(f"   {'ok' if done.returncode == 0 else 'FAILED'} ({time.monotonic() - started:.1f} s)", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
