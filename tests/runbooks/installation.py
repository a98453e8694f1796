"""The installation of `tests.support`, for the tests of runbooks."""

from tests.support.installation import REQUEST, WEBHOOK_SECRET, Installation, at, build, many_vectors

__all__ = ["REQUEST", "WEBHOOK_SECRET", "Installation", "at", "build", "many_vectors"]
