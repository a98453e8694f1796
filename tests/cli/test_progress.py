"""Progress of a command, on a terminal and elsewhere."""

import io
import re
import time

import pytest
from rich.console import Console

from proofdesk.cli import progress as progress_module
from proofdesk.cli.progress import progress


def _console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    printed = io.StringIO()
    return Console(file=printed, force_terminal=terminal, width=120, color_system=None), printed


def test_a_terminal_shows_count_rate_and_remaining_time():
    console, printed = _console(terminal=True)
    with progress("Embedding", console=console) as report:
        until = time.monotonic() + 30
        done = 0
        while not re.search(r"\d+/1000 +chunks +\d+(\.\d)?/s +0:00:\d\d +0:0\d:\d\d", printed.getvalue()):
            assert time.monotonic() < until, printed.getvalue()
            time.sleep(0.02)
            done += 1
            report(done, 1000, "chunks")


def test_each_stage_has_its_own_rate():
    console, printed = _console(terminal=True)
    with progress("Reading", console=console) as report:
        report(5_000_000, 5_000_000, "conversations")
        report(0, 10, "chunks")
        report(1, 10, "chunks")
    last = printed.getvalue().rsplit("Reading", 1)[1]
    assert "1/1" in last and "chunks" in last and "conversations" not in last


def test_without_a_terminal_progress_is_plain_lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress_module, "LINE_EVERY", 0.0)
    console, printed = _console(terminal=False)
    with progress("Embedding", console=console) as report:
        report(0, 200, "chunks")
        report(100, 200, "chunks")
    lines = printed.getvalue().splitlines()
    assert re.fullmatch(r"Embedding: 100 of 200 chunks, \d+(\.\d)?/s, 0:00:0\d left", lines[1]), lines
    assert "\x1b" not in printed.getvalue() and "\r" not in printed.getvalue()


def test_lines_are_rare_and_each_stage_ends_with_one():
    console, printed = _console(terminal=False)
    with progress("Reading", console=console) as report:
        for done in range(1001):
            report(done, 1000, "conversations")
        report(7, None, "chunks")
    lines = printed.getvalue().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["Reading: 1000 of 1000 conversations", "Reading: 7 chunks"]
    assert lines[0].endswith("/s") and lines[1] == "Reading: 7 chunks", "one report has no rate"


def test_programs_see_no_progress():
    console, printed = _console(terminal=True)
    with progress("Embedding", shown=False, console=console) as report:
        report(1, 2, "chunks")
    assert printed.getvalue() == ""
