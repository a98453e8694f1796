"""The server with short pauses, for tests of streams."""

from fastapi import FastAPI

from proofdesk.http import app, events


def from_environment() -> FastAPI:
    """The application, whose open streams look twice a second whether they may go on."""
    events.KEEP_ALIVE = 0.5
    return app.from_environment()
