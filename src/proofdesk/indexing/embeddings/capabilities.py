"""What an embedding server supports. Learnt once per process and shared by all clients."""

from dataclasses import dataclass


@dataclass
class ServerCapabilities:
    """What is known of a server and model; None is unknown.

    `max_texts` is the limit of texts per request, once the server refused more. `dimensions` is True when the vectors
    were too long and the server is asked to shorten them, False when it refused the parameter. `probed` is set after
    the first response; until then requests are sent one at a time. `guessed` is set when a refusal without a cause was
    retried without base64, `settled` when vectors came.
    """

    base64: bool | None = None
    dimensions: bool | None = None
    max_texts: int | None = None
    probed: bool = False
    guessed: bool = False
    settled: bool = False


_by_server: dict[tuple[str, str], ServerCapabilities] = {}


def get_capabilities(endpoint: str, model: str) -> ServerCapabilities:
    """Return the capabilities of a model at an endpoint, shared by all clients."""
    return _by_server.setdefault((endpoint, model), ServerCapabilities())


def reset_capabilities() -> None:
    """Forget all capabilities, as a new process would."""
    _by_server.clear()
