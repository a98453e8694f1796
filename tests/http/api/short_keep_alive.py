"""The server with a short keep-alive, for tests of streams."""

from fastapi import FastAPI

from proofdesk.http import app, events


def from_environment() -> FastAPI:
    """Return the application. Its streams check twice a second whether they may continue."""
    events.KEEP_ALIVE = 0.5
    return app.from_environment()
