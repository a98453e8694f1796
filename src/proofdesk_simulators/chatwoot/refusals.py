"""Every way Chatwoot, or the proxy in front of it, says no. There is no single error format.

Those of status 200, and the challenges and logins, are answers of something else in its place. Cloudflare sends a
challenge to any client, whatever it accepts, as 403 with `cf-mitigated: challenge` (its documentation, "Detect a
challenge page response"), and as 503 before that header came.
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
class Answer:
    """`body` is sent as JSON when it is an object, else as text of this media type."""

    status: int
    body: Attributes | str | bytes
    media_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Refusal(Exception):
    """Ends a request with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


def _error(status: int, text: str) -> Answer:
    return Answer(status, {"error": text})


CATALOGUE: dict[str, Answer] = {
    "200_garbled": Answer(200, '{"payload":[{"id":', "application/json; charset=utf-8"),
    "200_page": Answer(200, SIGN_IN_PAGE, "text/html; charset=utf-8"),
    "200_strange": Answer(200, {"status": "maintenance"}),
    "200_challenge": Answer(200, CHALLENGE_PAGE, "text/html; charset=UTF-8"),
    "302_login": Answer(302, "", "text/html", {"Location": "https://login.example.org/?rd=%2Fapi"}),
    "401_basic": Answer(401, BASIC_PAGE, "text/html", {"WWW-Authenticate": 'Basic realm="Restricted"'}),
    "403_challenge": Answer(403, CHALLENGE_PAGE, "text/html; charset=UTF-8", {"cf-mitigated": "challenge"}),
    "503_challenge": Answer(503, CHALLENGE_PAGE, "text/html; charset=UTF-8", {"Server": "cloudflare"}),
    "400": Answer(400, {"status": 400, "error": "Bad Request"}),
    "401_no_token": Answer(401, {"errors": ["You need to sign in or sign up before continuing."]}),
    "401_unknown_token": _error(401, "Invalid Access Token"),
    "401_not_member": _error(401, "You are not authorized to access this account"),
    "401_refused": _error(401, "You are not authorized to do this action"),
    "401_bot": _error(401, "Access to this endpoint is not authorized for bots"),
    "401_suspended": _error(401, "Account is suspended"),
    "403": _error(403, "Message status update is only allowed for API inboxes"),
    "404": _error(404, "Resource could not be found"),
    "404_route": Answer(404, {"status": 404, "error": "Not Found"}),
    "404_page": Answer(404, NOT_FOUND_PAGE, "text/html; charset=utf-8"),
    "404_empty": Answer(404, "", "text/plain"),
    "422_rule": _error(422, "Validation failed: Too many messages"),
    "422_record": Answer(422, {"message": "Email has already been taken", "attributes": ["email"]}),
    "429": Answer(429, "Retry later\n", "text/plain"),
    "500": Answer(500, {"status": 500, "error": "Internal Server Error"}),
    "502": Answer(502, BAD_GATEWAY_PAGE, "text/html"),
    "503": Answer(503, UNAVAILABLE_PAGE, "text/html"),
    "504": Answer(504, TIMEOUT_PAGE, "text/html"),
}


def refuse(name: str) -> Refusal:
    """By its name in the catalogue."""
    return Refusal(CATALOGUE[name])


def not_found() -> Refusal:
    """The usual 404 of a record."""
    return refuse("404")


def rule(text: str) -> Refusal:
    """A business rule: 422 with `error`."""
    return Refusal(_error(422, text))


def invalid(text: str, *attributes: str) -> Refusal:
    """A record that failed validation: 422 with `message` and `attributes`."""
    return Refusal(Answer(422, {"message": text, "attributes": list(attributes)}))
