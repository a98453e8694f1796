"""The installation of `tests.support`, for the tests of runbooks."""

from tests.support.installation import (
    RECIPIENT,
    REQUEST,
    WEBHOOK_SECRET,
    Installation,
    add_message,
    at,
    build,
    many_vectors,
)

__all__ = ["RECIPIENT", "REQUEST", "WEBHOOK_SECRET", "Installation", "add_message", "at", "build", "many_vectors"]
