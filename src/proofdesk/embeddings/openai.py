"""Vectors from OpenAI, or from any server that speaks its `/embeddings`."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2
import openai

from proofdesk import retry_after
from proofdesk.authorities import trusted
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
        self._key = key
        self._timeout = timeout
        connections = openai.DefaultAsyncHttpxClient(verify=trusted(), timeout=timeout)
        self._client = openai.AsyncOpenAI(
            api_key=key, base_url=base_url, timeout=timeout, max_retries=0, http_client=connections
        )

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
            # The client's own timeout is from one byte to the next: an answer that trickles never meets it.
            async with asyncio.timeout(self._timeout):
                answer = await self._client.embeddings.with_raw_response.create(
                    model=self._model, input=texts, dimensions=dimensions
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            raise self._late(len(texts)) from error
        except openai.APIStatusError as error:
            details = self._details(len(texts), error.status_code, error.request_id)
            raise _of_status(error, details, self._key) from error
        except openai.APIConnectionError as error:
            raise self._broken(error, len(texts)) from error
        return self._read(answer, len(texts))

    def _read(self, answer: Any, count: int) -> list[list[float]]:
        details = self._details(count, answer.status_code, answer.headers.get("x-request-id"))
        try:
            rows = sorted(answer.parse().data, key=lambda row: row.index)
            indexes, vectors = [row.index for row in rows], [row.embedding for row in rows]
            lengths = {len(vector) for vector in vectors}
        except (openai.APIError, AttributeError, TypeError, ValueError) as error:
            what = f"{self._endpoint} does not answer like an embedding provider. Check OPENAI_BASE_URL."
            raise Failed(what, details=details) from error
        if indexes != list(range(count)):
            what = f"The embedding provider gave {len(vectors)} vectors, or numbered them wrongly, for {count} texts."
            raise Failed(f"{what} Check OPENAI_BASE_URL; if it is right, its server is at fault.", details=details)
        if lengths != {self.dimension}:
            given = ", ".join(map(str, sorted(lengths)))
            what = f"The model gives vectors of {given} numbers, {self.dimension} are expected."
            hint = "Set EMBEDDING_DIM to what it gives and run `proofdesk migrate`."
            raise Failed(f"{what} {hint}", details=details | {"dimension": max(lengths)})
        return vectors

    def _late(self, count: int) -> Busy:
        what = f"The embedding provider did not answer within {self._timeout:g} seconds ({self._endpoint})."
        hint = "Raise OPENAI_TIMEOUT_MS or lower EMBED_BATCH_SIZE if that goes on."
        return Busy(f"{what} {hint}", details=self._details(count))

    def _broken(self, error: openai.APIConnectionError, count: int) -> Busy:
        if isinstance(error.__cause__, httpx2.ConnectError):
            what = f"The embedding provider cannot be reached ({self._endpoint})."
            hint = "Check OPENAI_BASE_URL and the network."
        else:
            what, hint = f"The embedding provider's answer broke off ({self._endpoint}).", "Check the network."
        return Busy(f"{what} {hint}", details=self._details(count))

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


def _of_status(error: openai.APIStatusError, details: dict[str, Any], key: str) -> EmbeddingError:
    status, said = error.status_code, _said(error).replace(key, "***")
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
            retry_after=retry_after.seconds(error.response.headers),
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
