"""Reading JSON in which one value is hostile, without losing the rest."""

import json
import re
from typing import Any

MAX_DEPTH = 100
"""Levels of nesting that are kept where there are more than Python reads."""
TOO_DEEP = f"(nested more than {MAX_DEPTH} levels deep)"
_LONGEST_NUMBER = 400  # digits; PostgreSQL holds more, Python converts no more than 4,300
_STEP = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)

# A NUL that JSON spells \u0000; an even number of backslashes before it would make it plain text.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def loads(body: bytes) -> Any:
    """Return the value in a body. Raises `ValueError` when it is not JSON.

    Bytes that are not UTF-8 become U+FFFD, values that are nested too deeply become `TOO_DEEP`, and numbers with too
    many digits become infinite, so that only the item that holds them is rejected.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_int=_number)
    except RecursionError:
        return json.loads(_flattened(text), parse_int=_number)


def find_unstorable(row: str) -> str | None:
    """Return why a database cannot hold a row, given as JSON in ASCII; None when it can."""
    if "\\u0000" in row and _NUL.search(row):  # this check alone is a hundred times faster
        return "a NUL character in a text"
    if "\\ud" in row:  # only then can there be half a surrogate pair
        try:
            json.dumps(json.loads(row), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "half a surrogate pair in a text"
    return None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float("inf")


def _flattened(text: str) -> str:
    kept, depth, at = list[str](), 0, 0
    for step in _STEP.finditer(text):
        if step.group() in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += [text[at : step.start()], json.dumps(TOO_DEEP)]
        elif step.group() in "]}":
            if depth == MAX_DEPTH + 1:
                at = step.end()
            depth -= 1
    return "".join([*kept, text[at:]])
