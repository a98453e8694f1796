"""Directional formatting in names: what is removed, what stays, and what programs receive."""

import json

import pytest

from proofdesk.cli import errors, output
from proofdesk.core import bidi
from proofdesk.errors import Invalid

FORMATTING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_formatting_is_removed_and_letters_keep_their_order():
    assert bidi.without_formatting(f"invoice{FORMATTING}gpj.exe") == "invoicegpj.exe"


def test_marks_and_letters_of_names_stay():
    name = "\u200fדנה\u200e (נייד) \u061cليلى"
    assert bidi.without_formatting(name) == name


@pytest.mark.parametrize("cut", range(5))
def test_cut_text_has_no_open_formatting(cut: int):
    assert not set(bidi.without_formatting("\u202eab\u202c"[cut:])) & set(FORMATTING)


def test_isolated_name_is_always_closed():
    assert bidi.isolated("\u202eEve\u2066") == "\u2068Eve\u2069"


def test_json_for_programs_keeps_every_character(capsys: pytest.CaptureFixture[str]):
    output.print_json({"name": f"Eve{FORMATTING}"})
    printed = capsys.readouterr().out
    assert not set(printed) & set(FORMATTING) and json.loads(printed) == {"name": f"Eve{FORMATTING}"}


def test_terminal_gets_no_control_characters_and_no_markup(capsys: pytest.CaptureFixture[str]):
    output.print_table(["Name"], [["\u202eEve\x1b[2J\x9b1m [/bold]"]])
    output.print_line("\u2067Eve\x07")
    output.print_note("\u202dEve\x1b]0;title")
    assert errors.report_error(Invalid("No project \u2067Mallory\x1b[0m.")) == 1
    out, err = capsys.readouterr()
    assert "Eve[2J1m [/bold]" in out and "Eve]0;title" in err and "No project Mallory[0m." in err
    assert not set(out + err) & {*FORMATTING, "\x1b", "\x07", "\x9b"}
