"""What a server turned out to take. It is learnt once a process, whichever client of the process finds it out."""

from dataclasses import dataclass


@dataclass
class ServerCapabilities:
    """None: not tried yet. `takes` is how many texts of one request the server takes, once it refused more.

    `dimensions` is True once vectors came that are longer than wanted and the server shortened them when asked to.
    `tried` is set after the first answer: requests go out one at a time until then, so that one of them learns for all.
    `guessed` is set once a refusal that named no cause was tried again without base64, `settled` once vectors came.
    """

    base64: bool | None = None
    dimensions: bool | None = None
    max_texts: int | None = None
    probed: bool = False
    guessed: bool = False
    settled: bool = False


_by_server: dict[tuple[str, str], ServerCapabilities] = {}


def get_capabilities(endpoint: str, model: str) -> ServerCapabilities:
    """Return what is known of a model at an address, shared by all who ask."""
    return _by_server.setdefault((endpoint, model), ServerCapabilities())


def reset_capabilities() -> None:
    """Forget everything, as a new process would."""
    _by_server.clear()
