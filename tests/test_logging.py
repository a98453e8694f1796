"""Lines of the log, as one process writes them. tests/http/api/test_logs.py checks the log of a whole server."""

import json
import subprocess
import sys
from typing import Any

_PROGRAM = """
import json, logging, sys, uuid
from proofdesk import logging as logs
from proofdesk.settings import Settings

logs.setup(Settings(log_format="json"))
{}
json.dump(logs.recent_events(), sys.stdout)
"""


def _logged(code: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run code in a process; return the lines that it wrote, and the events that it kept."""
    command = [sys.executable, "-c", _PROGRAM.format(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()], json.loads(done.stdout)


def test_events_of_proofdesk_and_of_libraries_have_one_form():
    lines, kept = _logged(
        "with logs.bind_context(request_id='one'):\n"
        "    logs.get_logger('proofdesk.here').info('done', id=uuid.UUID(int=7))\n"
        "logging.getLogger('library').warning('late by %d s', 3)"
    )
    ours, theirs = lines
    assert theirs.keys() == {"event", "level", "logger", "timestamp"} == ours.keys() - {"id", "request_id"}
    assert (ours["event"], ours["logger"], ours["request_id"]) == ("done", "proofdesk.here", "one")
    assert ours["id"] == "00000000-0000-0000-0000-000000000007"
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("late by 3 s", "library", "warning")
    assert kept == lines


def test_events_below_the_level_are_not_written():
    code = "logs.get_logger('proofdesk.here').debug('detail'); logging.getLogger('library').debug('detail')"
    assert _logged(code) == ([], [])


def test_invalid_text_is_written_with_a_replacement():
    (line,), (kept,) = _logged("logs.get_logger('proofdesk.here').info('request', path='/caf\\udce9')")
    assert line["path"] == kept["path"] == "/caf?"
