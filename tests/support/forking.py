"""Run commands, each in a forked process that has everything imported: `python -m tests.support.forking`.

Each line of standard input is a request, each line of standard output its response, both JSON:

- `{"arguments", "environment"}`: run to the end; `[status, output, errors]`
- `{"arguments", "environment", "log"}`: start, with output to the file; the process id
- `{"poll"}`: the status of a started process, or null while it runs
"""

import json
import os
import signal
import sys
import tempfile
import traceback
from typing import IO, Any

from proofdesk.cli import load, main

TIMEOUT = 120  # seconds


def _respond(request: dict[str, Any]) -> object:
    if "poll" in request:
        pid, status = os.waitpid(request["poll"], os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None
    if "log" in request:
        with open(request["log"], "ab") as log:  # noqa: PTH123, a descriptor is all that is needed
            return _fork(request, log, log)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        _, status = os.waitpid(_fork(request, output, errors), 0)
        return [os.waitstatus_to_exitcode(status), _read(output), _read(errors)]


def _fork(request: dict[str, Any], output: IO[bytes], errors: IO[bytes]) -> int:
    child = os.fork()
    if not child:
        _run(request["arguments"], request["environment"], output, errors)
    return child


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
        sys.stdout.write(json.dumps(_respond(json.loads(line))) + "\n")
        sys.stdout.flush()
