"""Requests to Chatwoot, their responses, and errors that say what to do. `C-nn` are facts in `docs/chatwoot.md`."""

import builtins
import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientConnectorError, ClientError, ClientResponse, ConnectionTimeoutError

from proofdesk.chatwoot import addresses, lenient_json
from proofdesk.core import retry_after
from proofdesk.errors import Unavailable

MAX_FILTER_PAGES = 400
"""Pages of a filter that are read; more mean that the server ignores the page number."""
_NOT_SENT = (ClientConnectorError, ConnectionTimeoutError)
_RETRIED = {429, 500, 502, 503, 504}  # C-03
_TOO_SLOW = {500, 504}  # C-13
_GONE = "Resource could not be found"
_HTML = "an HTML page, probably from a proxy in front of Chatwoot"
_NOTHING_LOST = "Nothing is lost: the next run continues here."


@dataclass(frozen=True)
class ChatwootRequest:
    """A request: the account (None: the server itself), the path, the query parameters and the JSON body.

    A request with a body is a POST. `writes` tells whether it changes something.
    """

    account_id: int | None
    endpoint: str
    params: dict[str, Any]
    body: dict[str, Any] | None = None
    writes: bool = False

    def __str__(self) -> str:
        inbox = f", inbox {self.inbox_id}" if self.inbox_id else ""
        account = f" (account {self.account_id}{inbox})" if self.account_id else ""
        return f"{self.method} {self.endpoint}{account}"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return "GET" if self.body is None else "POST"

    @property
    def inbox_id(self) -> int | None:
        """The inbox to which the request is limited, if any."""
        return self.params.get("inbox_id")

    def error_details(self, response: ClientResponse | None) -> dict[str, Any]:
        """Return the request and the response as the details of an error."""
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

    `permanent`: the same request will fail again. `forbidden`: the token is valid, but may not do this.
    `cannot_render`: Chatwoot itself answered 500. `token_missing`: no token arrived. `gone`: the record does not exist
    (C-04). `from_proxy`: something else, such as a proxy, answered; `html`: with a page. `wrong_address`:
    CHATWOOT_BASE_URL cannot be right. `timed_out`: the response was not complete in time. `outcome_unknown`: the
    request was a write, and it is not known whether it was carried out.
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
        timed_out: bool = False,
        request_sent: bool = True,
        html: bool = False,
        wrong_address: bool = False,
    ):
        run_continues = not request.writes and not permanent
        text = f"{message} {_NOTHING_LOST}" if run_continues else message
        super().__init__(text, details=request.error_details(response))
        self.permanent, self.forbidden, self.token_missing, self.gone = permanent, forbidden, token_missing, gone
        self.from_proxy, self.html, self.wrong_address, self.timed_out = from_proxy, html, wrong_address, timed_out
        self.status = None if response is None else response.status
        self.too_slow = timed_out or self.status in _TOO_SLOW
        self.cannot_render = self.status == 500 and not from_proxy
        self.outcome_unknown = request.writes and request_sent and self.status not in range(300, 500)
        self.retry_after = retry_after.seconds(response.headers) if response is not None else None


@dataclass(frozen=True)
class ChatwootResponse:
    """A JSON body, and the server's time when it came. `object` and `list` raise if the body has another shape."""

    request: ChatwootRequest
    http_response: ClientResponse
    body: Any
    server_time: datetime

    def object(self, *keys: str) -> dict[str, Any]:
        """Return the object under these keys."""
        return self._at(keys, dict)

    def list(self, *keys: str) -> builtins.list[Any]:
        """Return the list under these keys. An empty list ends a walk, so a missing one must not look empty."""
        return self._at(keys, list)

    def error_details(self) -> dict[str, Any]:
        """Return the request and the response as the details of an error."""
        return self.request.error_details(self.http_response)

    def _at(self, keys: tuple[str, ...], kind: type) -> Any:
        value = self.body
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            raise _unexpected_body_error("JSON that is not Chatwoot's", self.request, self.http_response)
        return value


def parse_response(request: ChatwootRequest, response: ClientResponse, body: bytes) -> ChatwootResponse:
    """Return the response with its JSON body. Raises `ChatwootError` when the body is not JSON."""
    try:
        return ChatwootResponse(request, response, lenient_json.loads(body), server_time(response))
    except ValueError as error:
        what = _HTML if _is_html(response, body) else "something that is not JSON"
        raise _unexpected_body_error(what, request, response) from error


def server_time(response: ClientResponse) -> datetime:
    """Return the time of the `Date` header, or of the local clock if there is none."""
    try:
        return email.utils.parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return datetime.now(UTC)


def timeout_error(
    error: Exception, request: ChatwootRequest, response: ClientResponse | None, seconds: float
) -> ChatwootError:
    """Return the error for a response that did not arrive, or did not end, in time."""
    text = (
        f"Chatwoot did not finish its answer to {request} within {seconds:g} seconds."
        " Check its load and the network, or raise CHATWOOT_TIMEOUT_SECONDS."
    )
    return ChatwootError(text, request, response, timed_out=True, request_sent=not isinstance(error, _NOT_SENT))


def too_large_error(request: ChatwootRequest, response: ClientResponse, max_bytes: int) -> ChatwootError:
    """Return the error for a response that is too large to be Chatwoot's."""
    text = f"Chatwoot's answer to {request} is longer than {max_bytes} bytes. Check CHATWOOT_BASE_URL."
    return ChatwootError(text, request, response, permanent=True)


def repeating_list_error(response: ChatwootResponse) -> ChatwootError:
    """Return the error for a list that shows the same items on page after page."""
    text = (
        f"Chatwoot shows the same items on every page, the last one in the answer to {response.request}."
        " A proxy may drop or cache the part of the address after `?`. Check CHATWOOT_BASE_URL."
    )
    return ChatwootError(text, response.request, response.http_response, permanent=True)


def truncated_window_error(response: ChatwootResponse) -> ChatwootError:
    """Return the error for a message that a window did not hold, although the window was not full (C-08)."""
    text = (
        f"Chatwoot left a message out of a list that was not full; it shows the message to {response.request}."
        " This server returns fewer than 1,000 messages at once, so its lists cannot be read completely."
    )
    return ChatwootError(text, response.request, response.http_response, permanent=True)


def connection_error(
    error: ClientError, request: ChatwootRequest, response: ClientResponse | None, *, expects_tls: bool = False
) -> ChatwootError:
    """Return the error for a response that did not arrive, or only in part.

    `expects_tls` tells that the port speaks https, although the address begins with http. What no retry can repair is
    permanent: a wrong scheme, a certificate that is not trusted, a host that does not exist.
    """
    reason = (str(error) or type(error).__name__).rstrip(".")
    if fault := addresses.find_fault(error, expects_tls=expects_tls):
        text = f"Chatwoot cannot be reached for {request}: {fault}"
        return ChatwootError(text, request, response, permanent=True, wrong_address=True, request_sent=False)
    if response is not None:
        return ChatwootError(
            f"The connection broke during Chatwoot's answer to {request}: {reason}.", request, response
        )
    text = (
        f"Chatwoot cannot be reached for {request}: {reason}."
        " Check that Chatwoot is running, the network, and CHATWOOT_BASE_URL."
    )
    return ChatwootError(text, request, request_sent=not isinstance(error, _NOT_SENT))


def refusal_error(request: ChatwootRequest, response: ClientResponse, body: bytes, token: str) -> ChatwootError:
    """Return the error for a response whose status is not 200. The token is removed from its text."""
    status = response.status
    reason, in_errors, from_proxy = _error_reason(response, body)
    # C-01: only these two concern the token. Any other 401 of Chatwoot means that its user may not see this record.
    bad_token = status == 401 and not from_proxy and (in_errors or "invalid access token" in reason.lower())
    wait = retry_after.seconds(response.headers)
    parts = [
        f"Chatwoot answered {status} to {request}: {reason.replace(token, '***').rstrip('.') or 'nothing'}.",
        f"It asks to wait for {wait:g} seconds." if wait else "",
        (_path_hint(request, response) if status == 404 or from_proxy else "")
        or _hint(status, request, bad_token=bad_token, from_proxy=from_proxy),
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
        html=reason == _HTML,
    )


def _unexpected_body_error(what: str, request: ChatwootRequest, response: ClientResponse) -> ChatwootError:
    hint = _path_hint(request, response) or "A proxy may have answered in its place; check CHATWOOT_BASE_URL."
    # The page of a proxy stays until somebody acts; waiting for minutes would only delay the message.
    is_page = what == _HTML
    text = f"Chatwoot answered {request} with {what}. {hint}"
    return ChatwootError(text, request, response, from_proxy=True, permanent=is_page, html=is_page)


def _path_hint(request: ChatwootRequest, response: ClientResponse) -> str:
    """Return what to do about a path in CHATWOOT_BASE_URL, such as `/app`. Empty if it has none."""
    path = response.url.path.removesuffix(request.endpoint)
    return f"Remove {path} from CHATWOOT_BASE_URL: write the address without a path." if path.strip("/") else ""


def _hint(status: int, request: ChatwootRequest, *, bad_token: bool, from_proxy: bool) -> str:
    if from_proxy and status in (401, 403):
        return "A proxy asks for a login or a challenge of its own: let requests to /api/ with a token pass."
    if bad_token:
        return "CHATWOOT_API_TOKEN is not valid there: set the token of an administrator; a proxy may also drop it."
    if status in (401, 403):
        return f"The token is valid, but not for this: make its user an administrator of {_account_name(request)}."
    if status == 402:
        return "Chatwoot asks for payment: look at the plan and the state of the account there."
    if status == 404:
        return "Check CHATWOOT_ACCOUNT_ID, the bound sources and CHATWOOT_BASE_URL."
    if status == 429:
        return "Chatwoot is throttling: lower CHATWOOT_CONCURRENCY, or raise RACK_ATTACK_LIMIT there."
    if status >= 500:
        return "Chatwoot or a proxy in front of it has failed: look at its log."
    if status in range(300, 400):
        return (
            "An API address does not redirect; a proxy may ask for a login. Check CHATWOOT_BASE_URL (https, no path)."
        )
    return "Check CHATWOOT_BASE_URL and the version of Chatwoot."


def _account_name(request: ChatwootRequest) -> str:
    return f"account {request.account_id}" if request.account_id else "the account"


def _error_reason(response: ClientResponse, body: bytes) -> tuple[str, bool, bool]:
    """Return the reason in an error body, whether it stands under `errors`, and whether a proxy wrote it (C-02)."""
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
