"""The names of the local embedding models, and the model that is used when none is configured."""

import platform
import sys

E5_SMALL, USE = LOCAL = ("local:e5-small", "local:use")
ALLOWED = f"EMBEDDING_PROVIDER=local has the models {' and '.join(LOCAL)}, and EMBEDDING_PROVIDER=openai all others"
# As the markers of its packages in pyproject.toml.
_RUNS_E5 = sys.platform == "linux" and platform.machine() == "x86_64"


def default_model(provider: str) -> str:
    """Return the model of a provider when none is configured."""
    if provider == "openai":
        return "text-embedding-3-small"
    return E5_SMALL if _RUNS_E5 else USE


def is_model_of(provider: str, model: str) -> bool:
    """Return whether the provider has the model."""
    return (model in LOCAL) == (provider == "local")
