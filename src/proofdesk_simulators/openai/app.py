"""The ASGI application: embeddings, chat completions and models as OpenAI responds, and faults on demand."""

import asyncio
import itertools
import time
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proofdesk_simulators import broken
from proofdesk_simulators.broken import CUT, HALF, TRICKLE
from proofdesk_simulators.openai import chat, control, deviations
from proofdesk_simulators.openai.ngrams import vector
from proofdesk_simulators.openai.simulator import (
    CATALOGUE,
    DELAY,
    ERROR_IN_200,
    GARBLED,
    PAGES,
    REDIRECT,
    EmbeddingRequest,
    OpenAIRefusal,
    OpenAISimulator,
)


class BrokenResponse(Response):
    """A broken form of the response `whole`."""

    def __init__(self, kind: str, whole: Response, headers: dict[str, str]):
        super().__init__()
        self._kind, self._whole, self._headers = kind, whole, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._kind == CUT:
            await broken.cut(send, self._headers)
        elif self._kind == HALF:
            await broken.half(self._whole, scope, receive, send)
        else:
            await broken.trickle(receive, send, self._headers)


def create_app(simulator: OpenAISimulator) -> ASGIApp:
    """Return the API under `/v1` with the controls under `/_simulator/`."""
    numbers = itertools.count(1)

    async def embeddings(request: Request) -> Response:
        headers = {"x-request-id": f"req_{next(numbers):08d}", "openai-version": "2020-10-01"}
        try:
            return await _embeddings(simulator, request, headers)
        except OpenAIRefusal as refusal:
            return _refused(refusal, headers)

    async def completions(request: Request) -> Response:
        headers = {"x-request-id": f"req_{next(numbers):08d}"}
        try:
            _admit(simulator, request)
            return await chat.respond(simulator, request, headers)
        except OpenAIRefusal as refusal:
            return _refused(refusal, headers)

    async def models(request: Request) -> Response:
        rows = [{"id": m, "object": "model", "created": 1_705_948_997, "owned_by": "system"} for m in simulator.models]
        return JSONResponse({"object": "list", "data": rows})

    routes = [
        Route("/v1/embeddings", embeddings, methods=["POST"]),
        Route("/v1/chat/completions", completions, methods=["POST"]),
        Route("/openai/deployments/{deployment}/embeddings", embeddings, methods=["POST"]),
        Route("/v1/models", models),
    ]
    return Starlette(routes=[*routes, *control.routes(simulator)])


async def _embeddings(simulator: OpenAISimulator, request: Request, headers: dict[str, str]) -> Response:
    body = await _body(request)
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    body.setdefault("model", request.path_params.get("deployment"))
    entry = EmbeddingRequest(str(body["model"]), len(texts), time.time())
    entry.encoding_format, entry.dimensions = body.get("encoding_format"), body.get("dimensions")
    simulator.requests.append(entry)
    if simulator.on_request:
        simulator.on_request(texts)
    striking = [fault for fault in simulator.faults if fault.strikes(texts)]
    await asyncio.sleep(max((fault.delay for fault in striking), default=0.0))
    kind = next((fault.kind for fault in striking if fault.kind != DELAY), None)
    if advice := next((fault.should_retry for fault in striking if fault.should_retry is not None), None):
        headers["x-should-retry"] = "true"
    elif advice is False:
        headers["x-should-retry"] = "false"
    try:
        if kind in CATALOGUE:
            asked = next(fault.retry_after for fault in striking if fault.kind == kind)
            headers |= {} if asked is None else {"retry-after": f"{asked:g}"}
            raise CATALOGUE[kind]
        _admit(simulator, request)
        answered = _respond(simulator, body, texts, headers, kind)
        entry.status = answered.status_code
        return answered
    except OpenAIRefusal as refusal:
        entry.status = refusal.status
        raise


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise OpenAIRefusal(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict) or "input" not in body:
        raise OpenAIRefusal(
            400, "Missing required parameter: 'input'.", param="input", code="missing_required_parameter"
        )
    return body


def _admit(simulator: OpenAISimulator, request: Request) -> None:
    if simulator.switches.azure:
        deviations.authorize_azure(simulator.switches, request)
        return
    if simulator.switches.key == "":
        return
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise OpenAIRefusal(401, "You didn't provide an API key.")
    if simulator.switches.key not in (None, key):
        raise CATALOGUE["invalid_api_key"]


def _respond(
    simulator: OpenAISimulator, body: dict[str, Any], texts: list[str], headers: dict[str, str], kind: str | None
) -> Response:
    if kind in PAGES:
        where = {"location": "https://elsewhere.example.com/v1/embeddings"} if kind == REDIRECT else {}
        return HTMLResponse("<html><title>Just a moment...</title></html>", PAGES[kind], where)
    if kind == ERROR_IN_200:
        return JSONResponse(deviations.error_in_success(), 200, headers)
    if kind == GARBLED:
        return Response('{"object":"list","data":[{', 200, headers, "application/json")
    whole = deviations.LenientJson(_vectors(simulator, body, texts, kind), 200, headers)
    return BrokenResponse(kind, whole, headers) if kind in (CUT, HALF, TRICKLE) else whole


def _vectors(simulator: OpenAISimulator, body: dict[str, Any], texts: list[str], kind: str | None) -> dict[str, Any]:
    switches = simulator.switches
    deviations.reject_parameters(switches, body)
    deviations.reject_texts(switches, len(texts))
    dimension = _dimension(simulator, body)
    tokens = _check(simulator, texts)
    as_base64 = body.get("encoding_format") == "base64" and switches.base64
    made = [
        deviations.encode_vector(switches, deviations.special_vector(text, vector(text, dimension)), as_base64)
        for text in texts
    ]
    simulator.embedded.update(texts)
    rows = deviations.response_rows(switches, made, kind)
    usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if switches.usage else {}
    return {"object": "list", "data": rows, "model": body["model"]} | usage


def _dimension(simulator: OpenAISimulator, body: dict[str, Any]) -> int:
    model, asked = body.get("model"), body.get("dimensions")
    own = simulator.models.get(str(model))
    if own is None:
        text = f"The model `{model}` does not exist or you do not have access to it."
        raise OpenAIRefusal(404, text, code="model_not_found")
    if asked is not None and not str(model).rpartition("/")[2].startswith(("text-embedding-3", "gemini-")):
        raise OpenAIRefusal(400, "This model does not support specifying dimensions.", param="dimensions")
    if asked is not None and not (isinstance(asked, int) and 0 < asked <= own):
        raise OpenAIRefusal(400, f"Invalid value for 'dimensions': must be at most {own}.", param="dimensions")
    return simulator.switches.dimension or asked or own


def _check(simulator: OpenAISimulator, texts: list[Any]) -> int:
    """Return the number of tokens of a request. Raises `OpenAIRefusal` for a text that cannot be embedded."""
    switches = simulator.switches
    if not texts or len(texts) > 2048:
        raise OpenAIRefusal(400, "'$.input' is invalid. Please check the API reference.", param="input")
    total = 0
    for index, text in enumerate(texts):
        if not isinstance(text, str) or not text or (switches.bad_text and switches.bad_text in text):
            raise OpenAIRefusal(400, f"'$.input[{index}]' is invalid.", param="input")
        tokens = len(text.encode()) // 4 + 1
        if tokens > switches.max_tokens:
            raise OpenAIRefusal(400, f"Invalid 'input[{index}]': maximum input length is {switches.max_tokens} tokens.")
        total += tokens
    if total > switches.max_tokens_a_request:
        raise deviations.too_many_tokens(switches, total)
    return total


def _refused(refusal: OpenAIRefusal, headers: dict[str, str]) -> Response:
    if isinstance(refusal.body, str):
        return HTMLResponse(refusal.body, refusal.status)
    if refusal.body is not None:
        return JSONResponse(refusal.body, refusal.status, headers)
    error = {"message": refusal.message, "type": refusal.type, "param": refusal.param, "code": refusal.code}
    return JSONResponse({"error": error}, refusal.status, headers)
