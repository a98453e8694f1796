"""Faults that cause a login loop, each with the check that names it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.runbooks.installation import REQUEST, Installation, at

SLUG = "auth-loop"


def request_with(**values: Any) -> Callable[[Installation], Any]:
    """Return a fault: the request of the browser differs."""
    return lambda installation: setattr(installation, "request", replace(REQUEST, **values))


HTTP = {"scheme": "http", "origin": "http://desk.example.com"}
TLS_PROXY = {"scheme": "http", "forwarded": {"x-forwarded-proto": "https"}}
FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "Secure cookies on http": ("secure-cookies", request_with(**HTTP, cookies=frozenset(), session_state=None)),
    "a proxy that is not trusted": ("proxy", lambda i: (i.set(public_url=None), request_with(**TLS_PROXY)(i))),
    "another origin": (
        "origin",
        request_with(origin="https://ui.example.org", cookies=frozenset(), session_state=None),
    ),
    "this clock is wrong": ("clock", lambda i: i.clock.append(at(10))),
    "the browser's clock is wrong": ("clock", lambda i: request_with(client_time=at(-300))(i)),
    "no cookie": ("cookie", request_with(cookies=frozenset({"other"}), session_state=None)),
    "an expired session": ("session", request_with(session_state="ended")),
    "a session of another installation": ("session", request_with(session_state="unknown")),
    "no token header": ("csrf", request_with(csrf_state="missing")),
    "an old token": ("csrf", request_with(csrf_state="wrong")),
    "no token cookie": ("csrf", request_with(cookies=frozenset({"sid"}))),
}
