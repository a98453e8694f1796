"""Values and HTTP answers that no client expects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

JSON_VALUES = [
    b"null", b"true", b"-1", b"0", b"1.5", b"9223372036854775808", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"1e999",
    b"-1e999", b"NaN", b'""', b'"x"', b'"AAAA"', b'"\\u0000"', b'"\\ud800"', b'"' + b"x" * 1_000_000 + b'"', b"[]",
    b"{}", b"[[]]", b"[null]", b"[{}]", b"[" + b"1," * 50_000 + b"1]", b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
]  # fmt: skip
BODIES = [b"", b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b"<html>", b"{" * 10, "{é}".encode("latin-1"), b"\x1f\x8b broken"]
STATUSES = [201, 204, 301, 302, 400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 451, 500, 502, 503, 599]
HEADERS: list[dict[str, str]] = [
    {},
    {"content-encoding": "gzip"},
    {"content-type": "text/html; charset=utf-16"},
    {"location": "http://[::1"},
    {"retry-after": "1e999"},
    {"retry-after": "Thu, 99 Foo 2026"},
]


@dataclass(frozen=True)
class HostileAnswer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return f"{self.status} {self.headers} {self.body[:80]!r}"


def hostile_answers(templates: Sequence[tuple[int, bytes]]) -> Iterator[HostileAnswer]:
    """Yield every template with every value in place of `%s`, then wrong bodies, statuses and headers."""
    for status, template in templates:
        for value in JSON_VALUES:
            yield HostileAnswer(status, template.replace(b"%s", value))
    for headers in HEADERS:
        for body in BODIES:
            yield HostileAnswer(200, body, headers)
        for status in STATUSES:
            yield HostileAnswer(status, b"" if status == 204 else b"[]", headers)
