"""The provider for OpenAI and for any server with OpenAI's `/embeddings`."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import httpx2
import openai

from proofdesk.core.certificates import ssl_context
from proofdesk.core.response_limits import limit_bodies
from proofdesk.indexing.embeddings import capabilities, errors, responses
from proofdesk.indexing.embeddings.provider import EmbeddingError, ProviderBusy, ProviderFailed, Vector
from proofdesk.indexing.embeddings.responses import IncompleteResponse, MalformedResponse, ProviderProblem

_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
# A refusal with one of these words is about the texts or the model, not about an unknown parameter.
_ABOUT_TEXTS = ("token", "batch", "too many", "too long", "too large", "length", "input", "model", "content")
_MAX_BYTES = 256 * 2**20  # 2,048 vectors of 3,072 numbers as text are 130 MB
Body = dict[str, Any]


class OpenAIModel:
    """An `EmbeddingProvider`. A call is repeated only without a parameter that the server refused.

    `shorten` allows shorter vectors than those of the model: the server is asked for `dimension` numbers, and more are
    cut off. `key` is None for a server without keys. `timeout` is in seconds.
    """

    max_batch = 2048

    def __init__(
        self,
        *,
        name: str,
        model: str,
        dimension: int,
        key: str | None,
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
        url = httpx2.URL(base_url)
        path = url.path.rstrip("/").removesuffix("/embeddings")
        self._endpoint = str(url.copy_with(path=f"{path}/embeddings", userinfo=b"", query=None))
        self._headers = key_headers(url, key)
        self._capabilities = capabilities.get_capabilities(self._endpoint, model)
        self._first = asyncio.Lock()
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=url.copy_with(path=path, query=None),
            default_query=dict(url.params),
            # `_post` has the only deadline. Two that end together can cancel the task once too often.
            timeout=None,
            max_retries=0,
            http_client=open_http_client(),
        )

    @property
    def learned_max_texts(self) -> int | None:
        """The limit of texts per request that the server turned out to have."""
        return self._capabilities.max_texts

    @learned_max_texts.setter
    def learned_max_texts(self, texts: int | None) -> None:
        self._capabilities.max_texts = texts

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return one vector for each text, of NaN where there is none. Raises `EmbeddingError`."""
        return await self._embed([self._document_prefix + text for text in texts])

    async def embed_query(self, text: str) -> Vector:
        """Return the vector of a query. Raises `EmbeddingError`."""
        [vector] = await self._embed([self._query_prefix + text])
        if not math.isfinite(math.hypot(*vector)):
            what = "The embedding provider returned an unusable vector for the query."
            raise ProviderFailed(f"{what} Check EMBEDDING_MODEL and its server.", details=self._details(1, 200))
        return responses.to_storable(vector) or vector

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _embed(self, texts: list[str]) -> list[Vector]:
        async with self._first_request():
            while True:
                body = self._body(texts)
                outcome = await self._attempt(body, texts)
                if outcome is not None:
                    return outcome

    @contextlib.asynccontextmanager
    async def _first_request(self) -> AsyncIterator[None]:
        if self._capabilities.probed:
            yield
            return
        async with self._first:
            try:
                yield
            finally:
                self._capabilities.probed = True

    def _body(self, texts: list[str]) -> Body:
        body: Body = {"model": self._model, "input": texts}
        if self._capabilities.dimensions is not False and (self._shorten or self._capabilities.dimensions):
            body["dimensions"] = self.dimension
        if self._capabilities.base64 is not False:
            body["encoding_format"] = "base64"  # a quarter of the bytes
        return body

    async def _attempt(self, body: Body, texts: list[str]) -> list[Vector] | None:
        """Return the vectors; None when the request has to be repeated with other parameters."""
        response = await self._post(body, len(texts))
        problem, vectors = await asyncio.to_thread(self._read, response, len(texts))
        if problem:
            if self._adapts(problem, body):
                return None
            details = self._details(len(texts), problem.status, response.headers.get("x-request-id"))
            raise errors.to_embedding_error(self._without_key(problem), response.headers, details)
        self._capabilities.base64, self._capabilities.settled = "encoding_format" in body, True
        return self._with_dimension(vectors, body, response)

    def _adapts(self, problem: ProviderProblem, body: Body) -> bool:
        """Record an unsupported parameter. Return whether it was in this body."""
        if problem.status in (401, 402, 403, 408, 413, 429):
            return False
        if "dimensions" in body and problem.mentions("dimension", "matryoshka"):
            self._capabilities.dimensions = False
            return True
        if "encoding_format" not in body or self._capabilities.base64:
            return self._retract_guess()
        is_named = problem.mentions("base64", "encoding_format", "encoding format")
        is_guess = (
            problem.status in (400, 422) and not self._capabilities.guessed and not problem.mentions(*_ABOUT_TEXTS)
        )
        if is_named or is_guess:
            self._capabilities.base64, self._capabilities.guessed = False, not is_named
        return is_named or is_guess

    def _retract_guess(self) -> bool:
        if self._capabilities.guessed and not self._capabilities.settled:
            self._capabilities.base64 = None  # refused without base64 as well, which was therefore not the cause
        return False

    async def _post(self, body: Body, count: int) -> httpx2.Response:
        try:
            # For the whole response: a timeout of the client is per read, which a response that trickles never reaches.
            async with asyncio.timeout(self._timeout):
                return await self._client.post(
                    "/embeddings", cast_to=httpx2.Response, body=body, options={"headers": self._headers}
                )
        except TimeoutError as error:
            raise self._timeout_error(count) from error
        except openai.APIStatusError as error:
            return error.response
        except openai.APIConnectionError as error:
            raise self._connection_error(error, count) from error

    def _read(self, response: httpx2.Response, count: int) -> tuple[ProviderProblem | None, list[Vector]]:
        if response.status_code >= 300:
            return responses.parse_problem(response.status_code, response.content, response.reason_phrase), []
        details = self._details(count, 200, response.headers.get("x-request-id"))
        try:
            body = responses.parse_body(response.content)
            if problem := responses.find_problem(body):
                return problem, []
            return None, responses.parse_vectors(body, count)
        except IncompleteResponse as error:
            what = f"The embedding provider {error} ({self._endpoint})."
            raise ProviderBusy(f"{what} Lower EMBED_BATCH_SIZE; check OPENAI_BASE_URL.", details=details) from error
        except MalformedResponse as error:
            what = f"{self._endpoint} is not an embedding provider. Check OPENAI_BASE_URL."
            raise ProviderFailed(f"{what} {error}", details=details) from error

    def _with_dimension(self, vectors: list[Vector], body: Body, response: httpx2.Response) -> list[Vector] | None:
        lengths = {len(vector) for vector in vectors if vector} or {self.dimension}
        if lengths == {self.dimension}:
            return [vector or [math.nan] * self.dimension for vector in vectors]
        if min(lengths) > self.dimension:
            if "dimensions" not in body and self._capabilities.dimensions is None:
                self._capabilities.dimensions = True
                return None
            if self._shorten:
                return [responses.shorten(vector, self.dimension) for vector in vectors]
        actual = ", ".join(map(str, sorted(lengths)))
        what = f"The model returns vectors of {actual} numbers, {self.dimension} are expected."
        details = self._details(len(vectors), 200, response.headers.get("x-request-id"))
        hint = "Set EMBEDDING_DIM to that number and run `proofdesk migrate`."
        raise ProviderFailed(f"{what} {hint}", details=details | {"dimension": max(lengths)})

    def _without_key(self, problem: ProviderProblem) -> ProviderProblem:
        if not self._key or self._key not in problem.message:
            return problem
        return replace(problem, message=problem.message.replace(self._key, "***"))

    def _timeout_error(self, count: int) -> ProviderBusy:
        what = f"The embedding provider did not answer within {self._timeout:g} seconds ({self._endpoint})."
        hint = "If this continues, raise OPENAI_TIMEOUT_MS or lower EMBED_BATCH_SIZE."
        return ProviderBusy(f"{what} {hint}", details=self._details(count), timed_out=True)

    def _connection_error(self, error: openai.APIConnectionError, count: int) -> EmbeddingError:
        if isinstance(error.__cause__, httpx2.ConnectError):
            what = f"The embedding provider cannot be reached ({self._endpoint})."
            hint = "Check OPENAI_BASE_URL and the network."
        else:
            what, hint = f"The response of the embedding provider broke off ({self._endpoint}).", "Check the network."
        return ProviderBusy(f"{what} {hint}", details=self._details(count))

    def _details(self, count: int, status: int | None = None, request_id: str | None = None) -> dict[str, Any]:
        upstream = {
            "service": "openai",
            "method": "POST",
            "endpoint": self._endpoint,
            "status": status,
            "request_id": request_id,
        }
        return {"upstream": upstream, "batch_size": count}


def open_http_client() -> httpx2.AsyncClient:
    """Return a client for a server with OpenAI's API. It follows no redirects, and its caller limits the time."""

    async def assume_utf8(response: httpx2.Response) -> None:
        response.encoding = "utf-8"  # as JSON always is; an error page may name an encoding that it does not have

    hooks = {"response": [assume_utf8, limit_bodies(_MAX_BYTES)]}
    return openai.DefaultAsyncHttpxClient(verify=ssl_context(), timeout=None, follow_redirects=False, event_hooks=hooks)


def key_headers(url: httpx2.URL, key: str | None) -> dict[str, Any]:
    """Return the headers of a request that authenticate in another form than a bearer token."""
    # Azure expects the key in this header; there a bearer token is one of its directory.
    if key and ("api-version" in url.params or url.host.endswith(_AZURE)):
        return {"api-key": key, "Authorization": openai.Omit()}
    return {}
