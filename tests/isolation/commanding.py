"""Run commands one after the other in this process, and write their output: `python -m tests.isolation.commanding`.

Standard input is a JSON list of argument lists, standard output one of `[status, output]`.
"""

import io
import json
import sys

from proofdesk.cli import app, load

load()
terminal, buffer = sys.stdout, io.StringIO()
# One stream for all commands: loggers keep the stream of their first line.
sys.stdout = sys.stderr = buffer
results: list[tuple[int, str]] = []
for arguments in json.load(sys.stdin):
    buffer.seek(0)
    buffer.truncate()
    status = 0
    try:
        app(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except Exception as error:  # `main` turns errors into one line and exit status 1
        status = 1
        buffer.write(str(error))
    results.append((status, buffer.getvalue()))
terminal.write(json.dumps(results))
