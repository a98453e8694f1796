"""Runs commands in one process as they come: `python -m tests.cli.conversing`.

A line of standard input is a JSON object of arguments and environment; a line of standard output is
`[status, output, errors]`.
"""

import json
import sys

from typer.testing import CliRunner

from proofdesk.cli import app, load
from proofdesk.errors import ProofdeskError

load()
for line in sys.stdin:
    asked = json.loads(line)
    result = CliRunner().invoke(app, asked["arguments"], env=asked["environment"])
    # `main` turns what a room raises into one line and status 1.
    errors = result.exception.message if isinstance(result.exception, ProofdeskError) else result.stderr
    sys.stdout.write(json.dumps([result.exit_code, result.stdout, errors]) + "\n")
    sys.stdout.flush()
