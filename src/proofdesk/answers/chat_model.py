"""The chat model that writes answers: any server with OpenAI's `/chat/completions`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import msgspec
import openai

from proofdesk.errors import Unavailable
from proofdesk.indexing.embeddings.factory import OPENAI_URL
from proofdesk.indexing.embeddings.openai import key_headers, open_http_client
from proofdesk.settings import Settings

MAX_ANSWER_TOKENS = 2000
_MAX_BYTES = 256 * 1024  # of a response; an answer of so many tokens takes a fraction
_TIMEOUT = 60.0  # seconds for a whole response

Message = dict[str, str]


class AnswerModelFailed(Unavailable):
    """The answer model cannot be reached, refused the request, or returned no usable answer."""

    code = "answer_model_failed"


@dataclass(frozen=True)
class Completion:
    """What the model wrote, and what it used. `cost` is set by servers that report it."""

    text: str
    tokens: int
    cost: float | None


class _Usage(msgspec.Struct):
    total_tokens: int = 0
    cost: float | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Response(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class ChatModel:
    """A chat model. A request is repeated only without a parameter that the server refused."""

    def __init__(self, model: str, base_url: str, key: str | None, timeout: float = _TIMEOUT):
        url = httpx2.URL(base_url)
        path = url.path.rstrip("/").removesuffix("/chat/completions")
        self.name = model
        self._timeout = timeout
        self._endpoint = str(url.copy_with(path=f"{path}/chat/completions", userinfo=b"", query=None))
        self._headers = key_headers(url, key)
        self._key = key
        self._format: dict[str, Any] = {"json_schema": True, "limit": "max_completion_tokens"}
        self._client = openai.AsyncOpenAI(
            api_key=key or "none",
            base_url=url.copy_with(path=path, query=None),
            default_query=dict(url.params),
            timeout=None,  # `complete` has the only deadline
            max_retries=0,
            http_client=open_http_client(),
        )

    async def complete(self, messages: Sequence[Message], schema: dict[str, Any]) -> Completion:
        """Return what the model writes, which should be JSON of this schema. Raises `AnswerModelFailed`."""
        try:
            async with asyncio.timeout(self._timeout):
                return self._parse(await self._request(messages, schema))
        except TimeoutError as error:
            raise self._failed(f"did not answer within {self._timeout:g} seconds. Try again.") from error
        except openai.APIStatusError as error:
            raise self._failed(_explain_status(error), error.status_code) from error
        except openai.APIConnectionError as error:
            raise self._failed("cannot be reached. Check ANSWER_BASE_URL and the network.") from error
        except httpx2.HTTPError as error:
            raise self._failed("broke off its response. Try again.") from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _request(self, messages: Sequence[Message], schema: dict[str, Any]) -> bytes:
        while True:
            try:
                return await self._post(messages, schema)
            except openai.BadRequestError as error:
                if not self._adapts(str(error)):
                    raise

    async def _post(self, messages: Sequence[Message], schema: dict[str, Any]) -> bytes:
        body: dict[str, Any] = {"model": self.name, "messages": list(messages)}
        body[self._format["limit"]] = MAX_ANSWER_TOKENS
        if self._format["json_schema"]:
            named = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        received = bytearray()
        async with self._client.chat.completions.with_streaming_response.create(
            **body, extra_headers=self._headers
        ) as response:
            async for part in response.iter_bytes():
                received += part
                if len(received) > _MAX_BYTES:
                    raise self._failed("returned too much. Check ANSWER_MODEL.")
        return bytes(received)

    def _adapts(self, message: str) -> bool:
        """Leave out a parameter that the server does not support. Return whether there was one."""
        if self._format["json_schema"] and ("response_format" in message or "json_schema" in message):
            self._format["json_schema"] = False
            return True
        if self._format["limit"] == "max_completion_tokens" and "max_completion_tokens" in message:
            self._format["limit"] = "max_tokens"
            return True
        return False

    def _parse(self, received: bytes) -> Completion:
        try:
            response = msgspec.json.decode(received, type=_Response)
            [message] = [choice.message for choice in response.choices[:1]]
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise self._failed("returned no chat completion. Check ANSWER_BASE_URL.") from error
        if message.refusal or not message.content:
            raise self._failed("refused to answer, or answered nothing. Ask in other words.")
        usage = response.usage or _Usage()
        tokens = max(usage.total_tokens, 0) or len(received) // 4
        return Completion(message.content, tokens, usage.cost)

    def _failed(self, what: str, status: int | None = None) -> AnswerModelFailed:
        upstream = {"service": "answers", "method": "POST", "endpoint": self._endpoint, "status": status}
        return AnswerModelFailed(f"The answer model {what}", details={"upstream": upstream})


def open_chat_model(settings: Settings) -> ChatModel | None:
    """Return the configured chat model, or None when `ANSWER_MODEL` is not set."""
    if settings.answer_model is None:
        return None
    key = settings.answer_api_key or settings.openai_api_key
    base_url = settings.answer_base_url or settings.openai_base_url or OPENAI_URL
    return ChatModel(settings.answer_model, base_url, key.get_secret_value() if key else None)


def _explain_status(error: openai.APIStatusError) -> str:
    if error.status_code == 429:
        wait = error.response.headers.get("retry-after")
        when = f"in {wait} seconds" if wait else "later"
        return f"is busy, or its quota is used up (429). Try again {when}."
    if error.status_code in (401, 403):
        return f"refused the key ({error.status_code}). Check ANSWER_API_KEY."
    if error.status_code == 404:
        return "does not exist (404). Check ANSWER_MODEL and ANSWER_BASE_URL."
    return f"answered with status {error.status_code}. Check ANSWER_BASE_URL, or try again."
