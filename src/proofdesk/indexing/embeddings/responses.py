"""Parses responses of OpenAI-compatible servers: vectors in the shapes that servers send, and their errors. Pure.

The simulator lists which server does what (`proofdesk_simulators.openai.deviations`).
"""

import base64
import json
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proofdesk.indexing.embeddings.provider import Vector

_LONGEST_MESSAGE = 300
_STATUSES = range(400, 600)
_SHORTEST, _LONGEST = 1e-3, 65504.0  # lengths that half precision can hold
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,200})", re.IGNORECASE)
_MAX_TEXTS = re.compile(
    r"(?:maximum allowed batch size|batch size limit is|max(?:imum)? batch size(?: is| of)?"
    r"|max(?:imum)? number of (?:inputs|texts|items) is|not be (?:larger|greater|more) than|at most)"
    r"\D{0,3}(\d{1,5})\b(?! ?tokens)",
    re.IGNORECASE,
)
_WAIT = re.compile(r'(?:try again in |retryDelay"?: ?"?)(\d{1,6}(?:\.\d{1,9})?) ?(ms|s)\b', re.IGNORECASE)


class MalformedResponse(ValueError):
    """The body is no list of vectors. The message says what it is."""


class IncompleteResponse(ValueError):
    """The body lacks vectors of the request."""


@dataclass(frozen=True)
class ProviderProblem:
    """An error in a response. `status` is the one that the body names, else that of HTTP.

    `codes` are its `code`, `type` and `status` in lower case; `wait` is in seconds, None when none is named.
    """

    status: int
    message: str
    codes: frozenset[str] = field(default_factory=frozenset)
    param: str = ""
    wait: float | None = None

    @property
    def max_texts(self) -> int | None:
        """The limit of texts per request that the message names, or None."""
        match = _MAX_TEXTS.search(self.message)
        return int(match[1]) or None if match else None

    def mentions(self, *words: str) -> bool:
        """Return whether the message or the named parameter contains one of the words."""
        text = f"{self.param} {self.message}".lower()
        return any(word in text for word in words)


def parse_body(content: bytes) -> Any:
    """Return the JSON of a body, NaN and Infinity included. Raises `MalformedResponse`."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        what = "a web page" if content.lstrip()[:1] == b"<" else "not complete JSON"
        raise MalformedResponse(f"The response is {what}.") from None


def find_problem(body: Any) -> ProviderProblem | None:
    """Return the error in a body that came with status 200, or None."""
    if not isinstance(body, dict) or (isinstance(body.get("data"), list) and not body.get("error")):
        return None
    if body.get("error") or body.get("object") == "error" or isinstance(body.get("message"), str):
        return _problem(body, None, "")
    return None


def parse_problem(status: int, content: bytes, reason: str) -> ProviderProblem:
    """Return the error of a response whose HTTP status is an error."""
    try:
        body = parse_body(content)
    except MalformedResponse:
        text = content[:4000].decode("utf-8", "replace")
        if text.lstrip().startswith("<"):
            title = _TITLE.search(text)
            text = f"a web page{f' ({title[1].strip()})' if title else ''} instead of a response, {reason}"
        return ProviderProblem(status, _sentence(text or reason))
    return _problem(body, status, reason)


def parse_vectors(body: Any, count: int) -> list[Vector]:
    """Return one vector for each of `count` texts, in order; an empty one stands for no vector.

    Raises `MalformedResponse` and `IncompleteResponse`.
    """
    rows = body.get("data") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "embedding" in row for row in rows):
        raise MalformedResponse("The response contains no list of vectors.")
    if len(rows) < count:
        raise IncompleteResponse(f"gave {len(rows)} vectors for {count} texts")
    order = _order([row.get("index") for row in rows])
    if sorted(order) != list(range(count)):
        raise MalformedResponse(f"The response has {len(rows)} vectors or wrong indexes for {count} texts.")
    try:
        numbers = [_numbers(row["embedding"]) for row in rows]
    except (TypeError, ValueError, OverflowError, RecursionError, struct.error):
        raise MalformedResponse("The response contains a vector that is not a list of numbers.") from None
    return [vector for _, vector in sorted(zip(order, numbers, strict=True), key=lambda pair: pair[0])]


def to_storable(vector: Vector) -> Vector | None:
    """Return the vector, scaled to length 1 if half precision cannot hold it; None for NaN, infinity and zero.

    Cosine distance ignores the length of a vector.
    """
    length = math.hypot(*vector)
    if not math.isfinite(length) or length == 0:
        return None
    return vector if _SHORTEST < length < _LONGEST else [number / length for number in vector]


def shorten(vector: Vector, dimension: int) -> Vector:
    """Return the first numbers of a vector, scaled to length 1, as OpenAI's guide recommends for its models."""
    first = vector[:dimension]
    length = math.hypot(*first)
    return [number / length for number in first] if math.isfinite(length) and length else first


def _order(indexes: Sequence[Any]) -> list[int]:
    numbers = [int(n) if isinstance(n, str) and n.isdecimal() else n if isinstance(n, int) else None for n in indexes]
    if numbers.count(None) == 1:
        # Servers that use proto-JSON omit an index of 0, wherever its row stands.
        [missing, *_] = sorted(set(range(len(numbers))) - set(numbers)) or [-1]
        return [missing if n is None else n for n in numbers]
    return [position if n is None else n for position, n in enumerate(numbers)]


def _numbers(value: Any) -> list[float]:
    if isinstance(value, str):
        text = value.strip()
        return _numbers(json.loads(text)) if text.startswith("[") else _of_base64(text)
    if value is None:
        return []
    if len(value) == 1 and isinstance(value[0], list):  # llama.cpp: one row for each pooled sequence
        value = value[0]
    return [math.nan if number is None else float(number) for number in value]


def _of_base64(text: str) -> list[float]:
    raw = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def _problem(body: Any, status: int | None, reason: str) -> ProviderProblem:
    whole = body[0] if isinstance(body, list) and body else body  # Gemini: a list of one
    error = whole.get("error") if isinstance(whole, dict) else None
    fields: dict[str, Any] = error if isinstance(error, dict) else whole if isinstance(whole, dict) else {}
    message = error if isinstance(error, str) else fields.get("message") or fields.get("detail") or fields.get("msg")
    codes = frozenset(str(fields[name]).lower() for name in ("code", "type", "status") if fields.get(name) is not None)
    wait = _WAIT.search(json.dumps(fields))
    return ProviderProblem(
        status or _status_of_codes(codes),
        _sentence(message if isinstance(message, str) else json.dumps(message) if message else reason),
        codes,
        str(fields.get("param") or ""),
        (float(wait[1]) / (1000 if wait[2].lower() == "ms" else 1)) if wait else None,
    )


def _status_of_codes(codes: frozenset[str]) -> int:
    statuses = [int(code) for code in codes if code.isdecimal() and int(code) in _STATUSES]
    words = " ".join(codes)
    if statuses:
        return statuses[0]
    if "rate" in words or "resource_exhausted" in words:
        return 429
    if "auth" in words or "api_key" in words:
        return 401
    return 400 if "invalid" in words or "bad" in words else 500


def _sentence(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text[: 2 * _LONGEST_MESSAGE])
    text = " ".join(printable.split())[:_LONGEST_MESSAGE] or "no reason given"
    return text if text.endswith((".", "!", "?")) else f"{text}."
