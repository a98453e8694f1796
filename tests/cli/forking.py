"""Run commands, each in a forked process that has everything imported: `python -m tests.cli.forking`.

A line of standard input is a JSON object of arguments and environment; a line of standard output is
`[status, output, errors]`.
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from typing import IO

from proofdesk.cli import load, main

TIMEOUT = 120  # seconds


def _respond(arguments: list[str], environment: dict[str, str]) -> list[int | str]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            _run(arguments, environment, output, errors)
        _, status = os.waitpid(child, 0)
        return [os.waitstatus_to_exitcode(status), _read(output), _read(errors)]


def _run(arguments: list[str], environment: dict[str, str], output: IO[bytes], errors: IO[bytes]) -> None:
    status: object = 1
    try:
        signal.alarm(TIMEOUT)
        for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output.fileno()), (2, errors.fileno())):
            os.dup2(file, number)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["proofdesk", *arguments]
        main()
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:  # the test inspects the traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else int(status is not None))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    load()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_respond(**json.loads(line))) + "\n")
        sys.stdout.flush()
