"""The server with short pauses, for tests of streams."""

from fastapi import FastAPI

from proofdesk import asgi, request


def from_environment() -> FastAPI:
    """The application, whose open streams look twice a second whether they may go on."""
    request.KEEP_ALIVE = 0.5
    return asgi.from_environment()
