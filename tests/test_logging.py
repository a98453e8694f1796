"""Lines of the log, as a process writes them. What a whole server writes is looked at in tests/http/api/test_logs.py."""

import json
import subprocess
import sys
from typing import Any

_PROGRAM = """
import json, logging, sys, uuid
from proofdesk import logs
from proofdesk.settings import Settings

logs.setup(Settings(log_format="json"))
{}
json.dump(logs.recent(), sys.stdout)
"""


def _logged(code: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines that a process wrote, and what it kept of them."""
    command = [sys.executable, "-c", _PROGRAM.format(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()], json.loads(done.stdout)


def test_an_event_of_ours_and_one_of_a_library_are_lines_of_one_form():
    lines, kept = _logged(
        "with logs.bound(request_id='one'):\n"
        "    logs.get('proofdesk.here').info('done', id=uuid.UUID(int=7))\n"
        "logging.getLogger('library').warning('late by %d s', 3)"
    )
    ours, theirs = lines
    assert theirs.keys() == {"event", "level", "logger", "timestamp"} == ours.keys() - {"id", "request_id"}
    assert (ours["event"], ours["logger"], ours["request_id"]) == ("done", "proofdesk.here", "one")
    assert ours["id"] == "00000000-0000-0000-0000-000000000007"
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("late by 3 s", "library", "warning")
    assert kept == lines


def test_what_is_below_the_level_is_not_written():
    code = "logs.get('proofdesk.here').debug('detail'); logging.getLogger('library').debug('detail')"
    assert _logged(code) == ([], [])


def test_a_line_is_written_of_what_is_no_text_as_well():
    (line,), (kept,) = _logged("logs.get('proofdesk.here').info('request', path='/caf\\udce9')")
    assert line["path"] == kept["path"] == "/caf?"
