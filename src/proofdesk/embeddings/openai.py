"""Vectors from OpenAI, or from any server that speaks its `/embeddings`."""

import email.utils
import time
from collections.abc import Sequence
from typing import Any

import httpx2
import openai

from proofdesk.embeddings.provider import Busy, EmbeddingError, Failed, Refused, Vector

_REFUSED = (400, 413, 422)  # what compatible servers answer to a text that is too long, or to too many texts
_BUSY = (408, 409, 425, 429)
_SPENT = ("insufficient_quota", "billing_hard_limit_reached")


class OpenAIModel:
    """A `Provider`. One call is one request: waiting and trying again is the caller's.

    `shorten` asks the server for `dimension` numbers; else the model's own length is expected to be that.
    `timeout` is in seconds.
    """

    max_batch = 2048

    def __init__(
        self,
        *,
        name: str,
        model: str,
        dimension: int,
        key: str,
        base_url: str,
        timeout: float,
        shorten: bool = False,
        query_prefix: str = "",
        document_prefix: str = "",
    ):
        self.name = name
        self.dimension = dimension
        self._model = model
        self._shorten = shorten
        self._query_prefix = query_prefix
        self._document_prefix = document_prefix
        self._client = openai.AsyncOpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=0)

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """One vector for each text. Raises `Busy`, `Refused` or `Failed`."""
        return await self._embed([self._document_prefix + text for text in texts])

    async def embed_query(self, text: str) -> Vector:
        """The vector of a query. Raises `Busy`, `Refused` or `Failed`."""
        return (await self._embed([self._query_prefix + text]))[0]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _embed(self, texts: list[str]) -> list[list[float]]:
        dimensions = self.dimension if self._shorten else openai.omit
        try:
            answer = await self._client.embeddings.create(model=self._model, input=texts, dimensions=dimensions)
            vectors = [row.embedding for row in sorted(answer.data, key=lambda row: row.index)]
        except openai.APIError as error:
            raise self._explained(error, len(texts)) from error
        except (AttributeError, TypeError, ValueError) as error:
            raise self._not_understood(len(texts)) from error
        if len(vectors) != len(texts):
            raise self._not_understood(len(texts))
        return vectors

    def _explained(self, error: openai.APIError, count: int) -> EmbeddingError:
        if isinstance(error, openai.APIStatusError):
            return _of_status(error, self._details(count, error.status_code, error.request_id))
        if isinstance(error, openai.APIConnectionError):
            late = isinstance(error, openai.APITimeoutError)
            what = "did not answer in time" if late else "cannot be reached"
            return Busy(f"The embedding provider {what} ({self._endpoint}).", details=self._details(count))
        return self._not_understood(count)

    def _not_understood(self, count: int) -> Failed:
        return Failed(
            f"{self._endpoint} does not answer like an embedding provider. Check OPENAI_BASE_URL.",
            details=self._details(count),
        )

    @property
    def _endpoint(self) -> str:
        url = httpx2.URL(str(self._client.base_url)).join("embeddings")
        return str(url.copy_with(userinfo=b"", query=None))

    def _details(self, count: int, status: int | None = None, request_id: str | None = None) -> dict[str, Any]:
        upstream = {
            "service": "openai",
            "method": "POST",
            "endpoint": self._endpoint,
            "status": status,
            "request_id": request_id,
        }
        return {"upstream": upstream, "batch_size": count}


def _of_status(error: openai.APIStatusError, details: dict[str, Any]) -> EmbeddingError:
    status, said = error.status_code, _said(error)
    if status == 401:  # what the server says here may repeat the key
        return Failed("The embedding provider refused the key (401). Check OPENAI_API_KEY.", details=details)
    if status == 402 or error.code in _SPENT or error.type in _SPENT:
        return Failed(
            f"The quota of the OpenAI account is used up ({status}). Raise it, then run the embeddings again.",
            details=details,
        )
    if status in _REFUSED:
        return Refused(f"The embedding provider refused the text ({status}): {said}", details=details)
    if status in _BUSY or status >= 500:
        return Busy(
            f"The embedding provider is busy or out of order ({status}): {said}",
            details=details,
            retry_after=_retry_after(error.response.headers),
            throttled=status == 429,
        )
    return Failed(
        f"The embedding provider refused the request ({status}): {said} Check EMBEDDING_MODEL, OPENAI_BASE_URL and "
        "what the key may do.",
        details=details,
    )


def _said(error: openai.APIStatusError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    text = str(body.get("message") or error.response.reason_phrase or "no reason given")
    text = " ".join(text.split())[:300]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds, from `retry-after-ms` or from `Retry-After` in either of its forms (RFC 9110, 10.2.3)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except KeyError:
        return None
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, moment.timestamp() - time.time())
    except ValueError:
        return None
