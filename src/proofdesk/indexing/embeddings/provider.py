"""What makes vectors, as the rest of the room sees it, and the three ways in which it fails."""

from collections.abc import Sequence
from typing import Any, Protocol

from proofdesk.errors import Unavailable

Vector = Sequence[float]


class EmbeddingProvider(Protocol):
    """A model that turns texts into vectors.

    `name` is stored with each vector: what `name` differs in cannot be compared. `dimension` is the length of a
    vector, `max_batch` the most texts of one call. `takes` is how many it turned out to take, None while it refused
    none: whoever finds that out sets it. Prefixes that a model wants are put before texts and queries inside. Texts
    must not be empty.
    """

    name: str
    dimension: int
    max_batch: int

    @property
    def learned_max_texts(self) -> int | None: ...

    @learned_max_texts.setter
    def learned_max_texts(self, texts: int | None) -> None: ...

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """One vector of `dimension` numbers for each text, in their order. Raises `EmbeddingError`."""
        ...

    async def embed_query(self, text: str) -> Vector:
        """The vector to search with, as long. Raises `EmbeddingError`."""
        ...

    async def aclose(self) -> None:
        """Give connections back."""
        ...


class EmbeddingError(Unavailable):
    """No vectors were made. `details.upstream` tells what was asked and what the provider answered."""

    code = "embeddings_job_failed"


class ProviderFailed(EmbeddingError):
    """The provider will go on refusing until somebody changes something: the key, the quota, a setting."""


class ProviderBusy(EmbeddingError):
    """The provider cannot answer now. `retry_after` is in seconds, None when it named no time.

    `throttled` says that it merely asked for patience: the texts are not the cause. `again` is False when it asked
    not to be tried again.
    """

    def __init__(
        self,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
        throttled: bool = False,
        retryable: bool = True,
    ):
        super().__init__(message, details=details)
        self.retry_after = retry_after
        self.throttled = throttled
        self.retryable = retryable


class TextsRefused(EmbeddingError):
    """The provider does not take these texts, at least not together.

    `at_most` is how many of them it says that it takes. `broke` says that it broke on them instead of refusing them.
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
    """A provider was chosen whose settings are missing."""

    code = "openai_not_configured"

    def __init__(self, message: str):
        super().__init__(message, configured=False)
