"""The names of the local embedding models, and the model that is used when none is configured."""

import platform
import sys

E5_SMALL, USE = LOCAL = ("local:e5-small", "local:use")
# As the markers of its packages in pyproject.toml.
_RUNS_E5 = sys.platform == "linux" and platform.machine() == "x86_64"


def default_model(provider: str) -> str:
    """Return the model of a provider when none is configured."""
    if provider == "openai":
        return "text-embedding-3-small"
    return E5_SMALL if _RUNS_E5 else USE
