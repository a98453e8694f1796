"""What Chatwoot answers: read as JSON, or told as an error that says what to do. `C-nn` as in `client`."""

import builtins
import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ConnectionTimeoutError

from proofdesk.chatwoot import lenient_json
from proofdesk.core import retry_after
from proofdesk.errors import Unavailable

_NOT_SENT = (ClientConnectorError, ConnectionTimeoutError)
_RETRIED = {429, 500, 502, 503, 504}  # C-03
_GONE = "Resource could not be found"
_HTML = "an HTML page, probably from a proxy in front of Chatwoot"
_NOT_LOST = "Nothing is lost: the next run goes on from here."


@dataclass(frozen=True)
class ChatwootRequest:
    """A request: of which account (None: the server's own), where, and with which query.

    One that writes has something `posted`.
    """

    account_id: int | None
    endpoint: str
    params: dict[str, Any]
    body: dict[str, Any] | None = None

    def __str__(self) -> str:
        inbox = f", inbox {self.inbox_id}" if self.inbox_id else ""
        account = f" (account {self.account_id}{inbox})" if self.account_id else ""
        return f"{self.method} {self.endpoint}{account}"

    @property
    def method(self) -> str:
        """Of HTTP."""
        return "GET" if self.body is None else "POST"

    @property
    def inbox_id(self) -> int | None:
        """The inbox that was asked for, if it was one."""
        return self.params.get("inbox_id")

    def error_details(self, response: ClientResponse | None) -> dict[str, Any]:
        """What was asked and what came back, for the details of an error."""
        upstream = {
            "service": "chatwoot",
            "method": self.method,
            "endpoint": self.endpoint,
            "status": response.status if response is not None else None,
            "request_id": response.headers.get("x-request-id") if response is not None else None,
        }
        return {"upstream": upstream, "account_id": self.account_id, "inbox_id": self.inbox_id}


class ChatwootError(Unavailable):
    """A request that Chatwoot refused or did not answer.

    `permanent`: asking again will not help. `forbidden`: this one thing is not for the token, which is a good one.
    `unsigned`: no token arrived there. `gone`: the thing is not there (any more). `foreign`: something else, such as a
    proxy, answered in Chatwoot's place. `perhaps_done`: it was a write, and nothing tells whether it was carried out.
    """

    code = "chatwoot_sync_failed"

    def __init__(
        self,
        message: str,
        request: ChatwootRequest,
        response: ClientResponse | None = None,
        *,
        permanent: bool = False,
        forbidden: bool = False,
        token_missing: bool = False,
        gone: bool = False,
        from_proxy: bool = False,
        request_sent: bool = True,
    ):
        run_continues = request.body is None and not permanent
        super().__init__(
            f"{message} {_NOT_LOST}" if run_continues else message, details=request.error_details(response)
        )
        self.permanent, self.forbidden, self.token_missing, self.gone = permanent, forbidden, token_missing, gone
        self.from_proxy = from_proxy
        self.status = None if response is None else response.status
        self.outcome_unknown = request.body is not None and request_sent and self.status not in range(300, 500)
        self.retry_after = retry_after.seconds(response.headers) if response is not None else None


@dataclass(frozen=True)
class ChatwootResponse:
    """A body that is JSON, and the server's clock when it came. Another shape than the expected raises."""

    request: ChatwootRequest
    http_response: ClientResponse
    body: Any
    server_time: datetime

    def object(self, *keys: str) -> dict[str, Any]:
        """The object under these keys."""
        return self._at(keys, dict)

    def list(self, *keys: str) -> builtins.list[Any]:
        """The list under these keys. An empty one ends a walk, so one that is missing must not look empty."""
        return self._at(keys, list)

    def error_details(self) -> dict[str, Any]:
        """What was asked and what came back, for the details of an error."""
        return self.request.error_details(self.http_response)

    def _at(self, keys: tuple[str, ...], kind: type) -> Any:
        found = self.body
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, kind):
            raise _unexpected_body_error("JSON that is not Chatwoot's", self.request, self.http_response)
        return found


def parse_response(request: ChatwootRequest, response: ClientResponse, body: bytes) -> ChatwootResponse:
    """The answer in this body."""
    try:
        return ChatwootResponse(request, response, lenient_json.loads(body), _server_time(response))
    except ValueError as error:
        what = _HTML if _is_html(response, body) else "something that is not JSON"
        raise _unexpected_body_error(what, request, response) from error


def timeout_error(
    error: Exception, request: ChatwootRequest, response: ClientResponse | None, seconds: float
) -> ChatwootError:
    """The answer did not come, or did not end, in time."""
    what = f"Chatwoot did not finish its answer to {request} within {seconds:g} seconds."
    hint = "Look at its load and at the network, or raise CHATWOOT_TIMEOUT_SECONDS."
    return ChatwootError(f"{what} {hint}", request, response, request_sent=not isinstance(error, _NOT_SENT))


def too_large_error(request: ChatwootRequest, response: ClientResponse, max_bytes: int) -> ChatwootError:
    """The answer is longer than any that can be meant."""
    what = f"Chatwoot's answer to {request} does not end: it has more than {max_bytes} bytes."
    return ChatwootError(f"{what} Check CHATWOOT_BASE_URL.", request, response, permanent=True)


def repeating_list_error(response: ChatwootResponse) -> ChatwootError:
    """A list shows the same items on page after page."""
    what = f"Chatwoot shows the same items again and again, lastly to {response.request}."
    hint = "A proxy may drop or cache what stands behind the `?` of an address; check CHATWOOT_BASE_URL."
    return ChatwootError(f"{what} {hint}", response.request, response.http_response, permanent=True)


def truncated_window_error(response: ChatwootResponse) -> ChatwootError:
    """A window of messages that was not full did not hold this one."""
    what = f"Chatwoot left a message out of a list that was not full; it shows it to {response.request}."
    hint = "This server answers fewer than 1,000 messages at once, so none of its lists can be trusted."
    return ChatwootError(f"{what} {hint}", response.request, response.http_response, permanent=True)


def connection_error(error: ClientError, request: ChatwootRequest, response: ClientResponse | None) -> ChatwootError:
    """No answer, or only a part of one."""
    reason = (str(error) or type(error).__name__).rstrip(".")
    if response is not None:
        return ChatwootError(f"Chatwoot's answer to {request} broke off: {reason}.", request, response)
    hint = "Check that it runs, the network, and CHATWOOT_BASE_URL."
    what = f"Chatwoot cannot be reached for {request}: {reason}. {hint}"
    return ChatwootError(what, request, request_sent=not isinstance(error, _NOT_SENT))


def _unexpected_body_error(what: str, request: ChatwootRequest, response: ClientResponse) -> ChatwootError:
    hint = "A proxy may have answered in its place; check CHATWOOT_BASE_URL."
    return ChatwootError(f"Chatwoot answered {request} with {what}. {hint}", request, response, from_proxy=True)


def refusal_error(request: ChatwootRequest, response: ClientResponse, body: bytes, token: str) -> ChatwootError:
    """An answer that is an error. The token is taken out of what is told."""
    status = response.status
    reason, in_errors, from_proxy = _error_reason(response, body)
    # C-01: only these two mean the token. Any other 401 of Chatwoot's says that this one thing is not for its user.
    bad_token = status == 401 and not from_proxy and (in_errors or "invalid access token" in reason.lower())
    wait = retry_after.seconds(response.headers)
    parts = [
        f"Chatwoot answered {status} to {request}: {reason.replace(token, '***').rstrip('.') or 'nothing'}.",
        f"It asks to wait for {wait:g} seconds." if wait else "",
        _hint(status, request, bad_token=bad_token, from_proxy=from_proxy),
    ]
    return ChatwootError(
        " ".join(filter(None, parts)),
        request,
        response,
        permanent=status not in _RETRIED,
        forbidden=status in (401, 403) and not from_proxy and not bad_token,
        token_missing=status == 401 and not from_proxy and in_errors,
        gone=status == 404 and not from_proxy and reason == _GONE,
        from_proxy=from_proxy,
    )


def _hint(status: int, request: ChatwootRequest, *, bad_token: bool, from_proxy: bool) -> str:
    if from_proxy and status in (401, 403):
        return "It asks for a login or a challenge of its own: let it pass requests to /api/ that have a token."
    if bad_token:
        return "CHATWOOT_API_TOKEN is not valid there: set the token of an administrator; a proxy may also drop it."
    if status in (401, 403):
        return f"The token is valid, but not for this: make its user an administrator of {_account_name(request)}."
    if status == 404:
        return "Check CHATWOOT_ACCOUNT_ID, the bound sources and CHATWOOT_BASE_URL."
    if status == 429:
        return "Chatwoot is throttling: lower CHATWOOT_CONCURRENCY, or raise RACK_ATTACK_LIMIT there."
    if status >= 500:
        return "Chatwoot or a proxy before it is out of order: look at its log."
    if status in range(300, 400):
        return (
            "An API address does not redirect; a proxy may ask for a login. Check CHATWOOT_BASE_URL (https, no path)."
        )
    return "Check CHATWOOT_BASE_URL and the version of Chatwoot."


def _account_name(request: ChatwootRequest) -> str:
    return f"account {request.account_id}" if request.account_id else "the account"


def _error_reason(response: ClientResponse, body: bytes) -> tuple[str, bool, bool]:
    """The reason, whether it came as `errors`, and whether it is not Chatwoot's own.

    C-02: it is JSON in two forms, text, a proxy's HTML, or empty. Chatwoot never asks for HTTP authentication.
    """
    try:
        content = lenient_json.loads(body)
    except ValueError:
        return _HTML if _is_html(response, body) else body.decode(errors="replace").strip()[:200], False, True
    if not isinstance(content, dict):
        return str(content)[:200], False, True
    reason = content.get("error") or content.get("errors") or content.get("message")
    first = reason[0] if isinstance(reason, list) and reason else reason or content
    return str(first)[:200], "errors" in content, reason is None or "www-authenticate" in response.headers


def _is_html(response: ClientResponse, body: bytes) -> bool:
    return "html" in response.headers.get("content-type", "") or body.lstrip()[:1] == b"<"


def _server_time(response: ClientResponse) -> datetime:
    try:
        return email.utils.parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)
