"""Creates the provider of the settings, and names its model and vector length."""

from proofdesk.errors import Invalid
from proofdesk.indexing.embeddings.local import DIMENSIONS as LOCAL_DIMENSIONS
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.indexing.embeddings.provider import EmbeddingProvider, ProviderNotConfigured
from proofdesk.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


def open_provider(settings: Settings, name: str | None = None) -> EmbeddingProvider:
    """Return the configured provider, or the one whose vectors are stored under `name`.

    A query needs the latter while a new model is incomplete. Raises `ProviderNotConfigured` when the key is missing,
    and `Invalid` when the dimension is unknown or no provider computes vectors of that name.
    """
    name = name or model_name(settings)
    if name in LOCAL_DIMENSIONS:
        return LocalModel(settings.proofdesk_home, name)
    if not name.startswith("openai:"):
        raise Invalid(f"No configured provider computes vectors of {name!r}. Check EMBEDDING_PROVIDER.")
    return _open_openai(settings, name)


async def warm_up(provider: EmbeddingProvider | None) -> None:
    """Load a local model, so that the first search does not wait for it. A failure is logged."""
    if isinstance(provider, LocalModel):
        await provider.warm_up()


def model_name(settings: Settings) -> str:
    """Return the name under which vectors of the configured model are stored. Raises `Invalid` like `model_dimension`.

    It contains all that changes a vector: provider, model, a dimension that is not the default, and the prefix.
    """
    if settings.provider == "local":
        return settings.model
    model, dimension = settings.model, model_dimension(settings)
    is_default = DIMENSIONS.get(model) == dimension
    return _with_prefix(f"openai:{model}" if is_default else f"openai:{model}@{dimension}", settings)


def model_dimension(settings: Settings) -> int:
    """Return the length of the vectors of the configured model.

    Raises `Invalid` when the model is not one of OpenAI's and `EMBEDDING_DIM` is not set.
    """
    if settings.provider == "local":
        return LOCAL_DIMENSIONS[settings.model]
    dimension = settings.embedding_dim or _default_dimension(settings.model)
    if dimension is None:
        raise Invalid(
            f"EMBEDDING_MODEL={settings.model!r}: set EMBEDDING_DIM to the length of its vectors; it is "
            f"known only for {', '.join(DIMENSIONS)}."
        )
    return dimension


def _open_openai(settings: Settings, name: str) -> EmbeddingProvider:
    if settings.openai_api_key is None and settings.openai_base_url is None:
        raise ProviderNotConfigured("OPENAI_API_KEY is not set: set it, or OPENAI_BASE_URL for a server without keys.")
    from proofdesk.indexing.embeddings.openai import OpenAIModel  # the SDK takes half a second to import

    model, dimension = _parsed(name)
    return OpenAIModel(
        name=name,
        model=model,
        dimension=dimension,
        shorten=_is_shortened(model, dimension),
        query_prefix=settings.embedding_query_prefix,
        document_prefix=settings.embedding_document_prefix,
        key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
        base_url=settings.openai_base_url or OPENAI_URL,
        timeout=settings.openai_timeout_ms / 1000,
    )


def _default_dimension(model: str) -> int | None:
    # Gateways put the provider before the model: `openai/text-embedding-3-large`.
    return DIMENSIONS.get(model.rpartition("/")[2])


def _is_shortened(model: str, dimension: int) -> bool:
    return model.rpartition("/")[2].startswith("text-embedding-3") and _default_dimension(model) != dimension


def _parsed(name: str) -> tuple[str, int]:
    model, _, dimension = name.removeprefix("openai:").split("+", 1)[0].partition("@")
    length = int(dimension) if dimension.isdigit() else _default_dimension(model)
    if length is None:
        raise Invalid(f"The vector length of {name!r} is unknown. Set EMBEDDING_DIM.")
    return model, length


def _with_prefix(name: str, settings: Settings) -> str:
    prefix = settings.embedding_document_prefix.strip()
    return f"{name}+{prefix}" if prefix else name
