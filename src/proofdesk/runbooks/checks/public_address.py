"""The proxy at PUBLIC_URL: each thing that it may remove or change is a check of its own."""

from proofdesk.runbooks import fixes, public_address
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, Fix, Observation, fail, ok, skip

_FIRST = ("public-url", "public-path")


def _make_check(check_id: str, title: str, expected: str, cause: str, fix: Fix) -> Check:
    async def observe(context: RunbookContext) -> Observation:
        probe = await context.load_once(public_address.probe_public_address)
        if check_id in probe.faults:
            return fail(probe.faults[check_id])
        if check_id not in _FIRST and any(first in probe.faults for first in _FIRST):
            return skip("The request did not arrive.")
        return ok(expected)

    return Check(check_id, title, expected, cause, observe, fix)


def _proxy(what: str, example: str) -> Fix:
    return Fix(f"Configure the proxy to {what} (nginx: `{example}`).", command="nginx -t && systemctl reload nginx")


CHECKS = (
    _make_check(
        "public-url",
        "Public address",
        "Proofdesk answers at PUBLIC_URL.",
        "Something else, such as the login page of a proxy, answers at PUBLIC_URL.",
        fixes.set_variable("PUBLIC_URL", "to the address at which people open Proofdesk, without a login of the proxy"),
    ),
    _make_check(
        "public-path",
        "Path",
        "The proxy does not change the path.",
        "The proxy rewrites the path of requests.",
        _proxy("pass the path unchanged", "proxy_pass http://127.0.0.1:8080;"),
    ),
    _make_check(
        "host",
        "Host",
        "The proxy passes the Host header.",
        "The proxy rewrites the Host header.",
        _proxy("pass Host", "proxy_set_header Host $http_host;"),
    ),
    _make_check(
        "set-cookie",
        "Set-Cookie",
        "The proxy passes Set-Cookie in responses.",
        "The proxy removes Set-Cookie from responses, so browsers never get a session.",
        _proxy("pass Set-Cookie", "proxy_pass_header Set-Cookie;"),
    ),
    _make_check(
        "cookie-header",
        "Cookie",
        "The proxy passes Cookie in requests.",
        "The proxy removes Cookie from requests, so no request has a session.",
        _proxy("pass Cookie", "proxy_set_header Cookie $http_cookie;"),
    ),
    _make_check(
        "csrf-header",
        "x-csrf-token",
        "The proxy passes x-csrf-token in requests.",
        "The proxy removes x-csrf-token from requests, so every change is refused.",
        _proxy("pass x-csrf-token", "proxy_set_header x-csrf-token $http_x_csrf_token;"),
    ),
)
