"""The five kinds of error a room may raise.

Rooms subclass these and give each subclass a `code` from the wire contract; every door translates the
kinds in one table. `message` is written for the person who reads it and says what to do next; `details`
is structured and safe to show (no secret, no SQL).
"""

from typing import Any


class ProofdeskError(Exception):
    """Base of all errors that Proofdesk raises on purpose."""

    code = "internal_error"
    pauses = False
    """Whether to try again is no use before somebody acts: a schedule pauses then."""

    def __init__(self, message: str, *, code: str | None = None, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.details = details or {}


class Invalid(ProofdeskError):
    """The caller's input is wrong. Nothing was changed."""

    code = "invalid_request"


class Denied(ProofdeskError):
    """The caller may not do this: no session, wrong credentials, no right, or too many attempts.

    `status` tells doors which of these it was (401, 403 or 429); `retry_after` is in seconds.
    """

    code = "unauthorized"

    def __init__(self, message: str, *, code: str | None = None, status: int = 401, retry_after: int | None = None):
        super().__init__(message, code=code)
        self.status = status
        self.retry_after = retry_after


class NotFound(ProofdeskError):
    """The thing does not exist in this project, or not for this caller."""

    code = "not_found"


class Conflict(ProofdeskError):
    """The thing is not in a state that allows this, or somebody else has it already."""

    code = "conflict"


class Unavailable(ProofdeskError):
    """Something that Proofdesk depends on is not configured, not reachable or refused.

    `configured` is False when a setting is missing (doors answer 503) and True when an upstream failed (502).
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
