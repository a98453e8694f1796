"""The five kinds of error that packages raise.

Packages subclass these and give each subclass a `code` of the API; HTTP and the commands translate the kinds in one
table. `message` says what is wrong and what to do; `details` is structured and safe to show (no secret, no SQL).
"""

from typing import Any


class ProofdeskError(Exception):
    """Base of all errors that Proofdesk raises on purpose."""

    code = "internal_error"
    pauses = False
    """Whether a retry is useless until a person acts: the schedule pauses."""

    def __init__(self, message: str, *, code: str | None = None, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.details = details or {}


class Invalid(ProofdeskError):
    """The caller's input is wrong. Nothing has changed."""

    code = "invalid_request"


class Denied(ProofdeskError):
    """The caller may not do this: no session, wrong credentials, no right, or too many attempts.

    `status` is the HTTP status (401, 403 or 429); `retry_after` is in seconds.
    """

    code = "unauthorized"

    def __init__(self, message: str, *, code: str | None = None, status: int = 401, retry_after: int | None = None):
        super().__init__(message, code=code)
        self.status = status
        self.retry_after = retry_after


class NotFound(ProofdeskError):
    """The record does not exist in this project, or not for this caller."""

    code = "not_found"


class Conflict(ProofdeskError):
    """The state of the record does not allow this, or the value is already in use."""

    code = "conflict"


class Unavailable(ProofdeskError):
    """A service that Proofdesk depends on is not configured, not reachable, or refused a request.

    `configured` is False when a setting is missing (HTTP 503) and True when the service failed (502).
    """

    code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: dict[str, Any] | None = None,
        configured: bool = True,
    ):
        super().__init__(message, code=code, details=details)
        self.configured = configured
