"""Error responses of Chatwoot and of proxies in front of it. There is no single error format.

Those with status 200, and the challenges and logins, come from something else in place of Chatwoot. Cloudflare sends a
challenge to any client, whatever it accepts, as 403 with `cf-mitigated: challenge` (its documentation, "Detect a
challenge page response"), and as 503 before that header existed.
"""

from dataclasses import dataclass, field

from proofdesk_simulators.chatwoot.records import Attributes

SIGN_IN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>"
NOT_FOUND_PAGE = "<!DOCTYPE html><html><head><title>Not found (404)</title></head><body></body></html>"
BAD_GATEWAY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
UNAVAILABLE_PAGE = "<html><head><title>503 Service Unavailable</title></head><body>nginx</body></html>"
BASIC_PAGE = "<html><head><title>401 Authorization Required</title></head><body>nginx</body></html>"
CHALLENGE_PAGE = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
TIMEOUT_PAGE = "<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error response. An object as `body` is sent as JSON, anything else as text of this media type."""

    status: int
    body: Attributes | str | bytes
    media_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])


class ChatwootRefusal(Exception):
    """Ends a request with this error response."""

    def __init__(self, answer: ErrorResponse) -> None:
        super().__init__(answer.status, answer.body)
        self.response = answer


def _error(status: int, text: str) -> ErrorResponse:
    return ErrorResponse(status, {"error": text})


CATALOGUE: dict[str, ErrorResponse] = {
    "200_garbled": ErrorResponse(200, '{"payload":[{"id":', "application/json; charset=utf-8"),
    "200_page": ErrorResponse(200, SIGN_IN_PAGE, "text/html; charset=utf-8"),
    "200_strange": ErrorResponse(200, {"status": "maintenance"}),
    "200_challenge": ErrorResponse(200, CHALLENGE_PAGE, "text/html; charset=UTF-8"),
    "302_login": ErrorResponse(302, "", "text/html", {"Location": "https://login.example.org/?rd=%2Fapi"}),
    "401_basic": ErrorResponse(401, BASIC_PAGE, "text/html", {"WWW-Authenticate": 'Basic realm="Restricted"'}),
    "403_challenge": ErrorResponse(403, CHALLENGE_PAGE, "text/html; charset=UTF-8", {"cf-mitigated": "challenge"}),
    "503_challenge": ErrorResponse(503, CHALLENGE_PAGE, "text/html; charset=UTF-8", {"Server": "cloudflare"}),
    "400": ErrorResponse(400, {"status": 400, "error": "Bad Request"}),
    "401_no_token": ErrorResponse(401, {"errors": ["You need to sign in or sign up before continuing."]}),
    "401_unknown_token": _error(401, "Invalid Access Token"),
    "401_not_member": _error(401, "You are not authorized to access this account"),
    "401_refused": _error(401, "You are not authorized to do this action"),
    "401_bot": _error(401, "Access to this endpoint is not authorized for bots"),
    "401_suspended": _error(401, "Account is suspended"),
    "402": _error(402, "Upgrade the plan to use this feature"),
    "403": _error(403, "Message status update is only allowed for API inboxes"),
    "404": _error(404, "Resource could not be found"),
    "404_route": ErrorResponse(404, {"status": 404, "error": "Not Found"}),
    "404_page": ErrorResponse(404, NOT_FOUND_PAGE, "text/html; charset=utf-8"),
    "404_empty": ErrorResponse(404, "", "text/plain"),
    "422_rule": _error(422, "Validation failed: Too many messages"),
    "422_record": ErrorResponse(422, {"message": "Email has already been taken", "attributes": ["email"]}),
    "429": ErrorResponse(429, "Retry later\n", "text/plain"),
    "500": ErrorResponse(500, {"status": 500, "error": "Internal Server Error"}),
    "502": ErrorResponse(502, BAD_GATEWAY_PAGE, "text/html"),
    "503": ErrorResponse(503, UNAVAILABLE_PAGE, "text/html"),
    "504": ErrorResponse(504, TIMEOUT_PAGE, "text/html"),
}


def refuse(name: str) -> ChatwootRefusal:
    """Return the refusal with this key of the catalogue."""
    return ChatwootRefusal(CATALOGUE[name])


def not_found() -> ChatwootRefusal:
    """Return the 404 of a record."""
    return refuse("404")


def rule_violation(text: str) -> ChatwootRefusal:
    """Return the refusal for a business rule: 422 with `error`."""
    return ChatwootRefusal(_error(422, text))


def invalid_record(text: str, *attributes: str) -> ChatwootRefusal:
    """Return the refusal for an invalid record: 422 with `message` and `attributes`."""
    return ChatwootRefusal(ErrorResponse(422, {"message": text, "attributes": list(attributes)}))
