"""The interface of embedding providers and their errors."""

from collections.abc import Sequence
from typing import Any, Protocol

from proofdesk.errors import Unavailable

Vector = Sequence[float]


class EmbeddingProvider(Protocol):
    """A model that computes vectors of texts.

    `name` is stored with each vector; vectors of different names cannot be compared. `dimension` is the length of a
    vector, `max_batch` the most texts of one call, and `learned_max_texts` a lower limit that was learnt from refusals
    (None: no refusal yet). The provider adds the prefixes of its model. Texts must not be empty.
    """

    name: str
    dimension: int
    max_batch: int

    @property
    def learned_max_texts(self) -> int | None: ...

    @learned_max_texts.setter
    def learned_max_texts(self, texts: int | None) -> None: ...

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return one vector of `dimension` numbers for each text, in order. Raises `EmbeddingError`."""
        ...

    async def embed_query(self, text: str) -> Vector:
        """Return the vector of a query. Raises `EmbeddingError`."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


class EmbeddingError(Unavailable):
    """No vectors were computed. `details.upstream` describes the request and the response."""

    code = "embeddings_job_failed"


class ProviderFailed(EmbeddingError):
    """The provider refuses until somebody changes the key, the quota or a setting."""


class ProviderBusy(EmbeddingError):
    """The provider cannot answer now. `retry_after` is in seconds, None when it named no time.

    `throttled` tells that a rate limit is the cause, not the texts. `retryable` is False when the provider asked for no
    retry. `timed_out` tells that no answer came in time.
    """

    def __init__(
        self,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
        throttled: bool = False,
        retryable: bool = True,
        timed_out: bool = False,
    ):
        super().__init__(message, details=details)
        self.timed_out = timed_out
        self.retry_after = retry_after
        self.throttled = throttled
        self.retryable = retryable


class TextsRefused(EmbeddingError):
    """The provider refuses these texts, at least in one request.

    `max_texts` is the limit that the refusal names. `crashed` tells that the provider failed instead of refusing.
    """

    def __init__(
        self,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        max_texts: int | None = None,
        crashed: bool = False,
    ):
        super().__init__(message, details=details)
        self.max_texts = max_texts
        self.crashed = crashed


class ProviderNotConfigured(Unavailable):
    """The settings of the chosen provider are missing."""

    code = "openai_not_configured"

    def __init__(self, message: str):
        super().__init__(message, configured=False)
