"""Which provider the settings ask for, what its vectors are called and how long they are."""

from proofdesk.errors import Invalid
from proofdesk.indexing.embeddings.local import DIMENSION as LOCAL_DIMENSION
from proofdesk.indexing.embeddings.local import NAME as LOCAL_NAME
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.indexing.embeddings.provider import EmbeddingProvider, ProviderNotConfigured
from proofdesk.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


def open_provider(settings: Settings, name: str | None = None) -> EmbeddingProvider:
    """The provider in effect, or the one that made the vectors stored under `name`.

    The latter is what a query needs while a new model is still being built. Raises `NotConfigured` when the key is
    missing, and `Invalid` when a dimension is or when no provider gives vectors of that name.
    """
    wanted = name or model_name(settings)
    if wanted.split("+", 1)[0] == LOCAL_NAME:
        return LocalModel(wanted, settings.embedding_query_prefix, settings.embedding_document_prefix)
    if not wanted.startswith("openai:"):
        raise Invalid(f"Nothing makes vectors of {wanted!r} with the present settings.")
    return _open_openai(settings, wanted)


def model_name(settings: Settings) -> str:
    """The name under which vectors of the configured model are stored. Raises `Invalid` like `dimension_of`.

    It holds all that makes vectors differ: provider, model, a dimension that is not the model's own, the prefix.
    """
    if settings.provider == "local":
        return _with_prefix(LOCAL_NAME, settings)
    model, dimension = settings.embedding_model, model_dimension(settings)
    own = DIMENSIONS.get(model) == dimension
    return _with_prefix(f"openai:{model}" if own else f"openai:{model}@{dimension}", settings)


def model_dimension(settings: Settings) -> int:
    """How long the vectors of the configured model are; the local model's are always 256.

    Raises `Invalid` when the model is not one of OpenAI's and `EMBEDDING_DIM` is not set.
    """
    if settings.provider == "local":
        return LOCAL_DIMENSION
    known = settings.embedding_dim or _own_dimension(settings.embedding_model)
    if known is None:
        raise Invalid(
            f"EMBEDDING_MODEL={settings.embedding_model!r}: set EMBEDDING_DIM to the length of its vectors; it is "
            f"known only for {', '.join(DIMENSIONS)}."
        )
    return known


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


def _own_dimension(model: str) -> int | None:
    # Gateways put the name of the provider before that of the model: `openai/text-embedding-3-large`.
    return DIMENSIONS.get(model.rpartition("/")[2])


def _is_shortened(model: str, dimension: int) -> bool:
    return model.rpartition("/")[2].startswith("text-embedding-3") and _own_dimension(model) != dimension


def _parsed(name: str) -> tuple[str, int]:
    model, _, dimension = name.removeprefix("openai:").split("+", 1)[0].partition("@")
    known = int(dimension) if dimension.isdigit() else _own_dimension(model)
    if known is None:
        raise Invalid(f"The length of vectors of {name!r} is not known.")
    return model, known


def _with_prefix(name: str, settings: Settings) -> str:
    prefix = settings.embedding_document_prefix.strip()
    return f"{name}+{prefix}" if prefix else name
