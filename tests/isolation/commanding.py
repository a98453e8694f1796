"""Run commands one after the other in this process, and write their output: `python -m tests.isolation.commanding`.

Standard input is a JSON list of argument lists, standard output one of `[status, output]`.
"""

import json
import sys

from typer.testing import CliRunner

from proofdesk.cli import app, load

load()
told = []
for arguments in json.load(sys.stdin):
    result = CliRunner().invoke(app, arguments)
    # `main` turns errors into one line and exit status 1.
    told.append((result.exit_code, result.output + str(result.exception or "")))
sys.stdout.write(json.dumps(told))
