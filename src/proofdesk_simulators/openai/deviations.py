"""Deviations of OpenAI-compatible servers, by the switches that turn them on.

Where each was read (GitHub issues of the projects named):

- `index="omit_zero"`: Gemini leaves out `index` when it is 0, as proto-JSON does (samfoy/pi-session-search#13,
  spring-projects/spring-ai#7019); `"omit"`: others never send it (doobidoo/mcp-memory-service#612); `"text"`: 64-bit
  numbers are strings in proto-JSON.
- `encoding="named"`: vLLM before base64 was added (vllm-project/vllm#6174); `"unknown"`: LiteLLM before Vertex and
  Gemini, which refuses the parameter whatever its value (BerriAI/litellm#33173, zilliztech/claude-context#185);
  `"unnamed"`: a 400 that names no cause. With `base64` off it is ignored instead (lmstudio-bug-tracker#756).
- `dimensions="vllm"`: a model without Matryoshka training (vllm-project/vllm#16331); `"litellm"`: LiteLLM before any
  model but OpenAI's (BerriAI/litellm#26787). With `dimension` it is ignored instead.
- `most_texts` with `wording`: `"tei"` 413 (coze-dev/coze-studio#455), `"litellm"` 422 (Zoo-Code-Org/Zoo-Code#335),
  `"dashscope"` (memodb-io/memobase#142), `"gemini"` (geldata/gel#9032), `"azure"` (Mintplex-Labs/anything-llm#184),
  `"mistral"`, which names no number (raphaelmansuy/edgequake-llm#74), `"siliconflow"` (apecloud/ApeRAG#716),
  `"nginx"`: the page of a proxy whose `client_max_body_size` is exceeded, `"text"`: the body limit of Axum
  (huggingface/text-embeddings-inference#50). `wording="mistral"` also words the limit of tokens
  (aurelio-labs/semantic-router#297).
- `vectors="base64"`: whatever was asked for; Voyage knows nothing else (vectorize-io/hindsight#925); `"text"`: numbers
  as strings; `"json"`: the list as a string; `"nested"`: llama.cpp's server gives a list of lists.
- `scale`: vectors that are not of length 1 (llama.cpp with `--embd-normalize -1`, text-embeddings-inference with
  `normalize: false`). A text with `[[nan]]` in it gets NaN (ollama/ollama#14657), with `[[null]]` null as llama.cpp
  writes it, with `[[inf]]`, `[[zero]]` and `[[empty]]` what they say.
- `error_in_200`: a gateway that answers before its upstream does (OpenRouter; promptfoo/promptfoo#185 for LocalAI).
- `key_not_valid` and `no_connected_db` (kinds of fault): what Gemini answers to a wrong key, and what LiteLLM 1.108
  without a database does (measured, see docs/decisions/embedding-servers.md).
- `azure`: Azure's paths, `api-version` and header (diemus/azure-openai-proxy#7).
"""

import base64
import json
import math
import struct
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from proofdesk_simulators.openai.simulator import EMPTY, MISNUMBERED, SHORT, SURPLUS, OpenAIRefusal, OpenAISwitches

_ODD = {"[[nan]]": math.nan, "[[inf]]": math.inf, "[[zero]]": 0.0, "[[null]]": None}
Numbers = list[Any]


class LenientJson(Response):
    """JSON that may contain NaN and Infinity, as several languages write it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


def authorize_azure(switches: OpenAISwitches, request: Request) -> None:
    """Check what Azure requires: an API version, and the key in its own header. Raises `OpenAIRefusal`."""
    if "deployment" not in request.path_params or "api-version" not in request.query_params:
        raise OpenAIRefusal(404, "", body={"error": {"code": "404", "message": "Resource not found"}})
    key = request.headers.get("api-key")
    if not key or "authorization" in request.headers or switches.key not in (None, key):
        text = "Access denied due to invalid subscription key or wrong API endpoint."
        raise OpenAIRefusal(401, "", body={"error": {"code": "401", "message": text}})


def reject_parameters(switches: OpenAISwitches, body: dict[str, Any]) -> None:
    """Raise `OpenAIRefusal` for a parameter that the server does not support."""
    encoding, model = body.get("encoding_format"), body.get("model")
    if encoding == "base64" and switches.encoding == "named":
        raise _flat("base64 encoding is not currently supported")
    if encoding is not None and switches.encoding == "unknown":
        text = f"vertex_ai does not support parameters: {{'encoding_format': '{encoding}'}}, for model={model}."
        raise OpenAIRefusal(400, f"litellm.UnsupportedParamsError: {text}", "None", code="400")
    if encoding == "base64" and switches.encoding == "unnamed":
        raise OpenAIRefusal(400, "Bad request")
    if body.get("dimensions") is not None and switches.dimensions == "vllm":
        text = f'Model "{model}" does not support matryoshka representation, changing output dimensions'
        raise _flat(f"{text} will lead to poor results.")
    if body.get("dimensions") is not None and switches.dimensions == "litellm":
        text = "litellm.UnsupportedParamsError: Setting dimensions is not supported for OpenAI `text-embedding-3`"
        raise OpenAIRefusal(500, f"{text} and later models.", "None", code="500")


def reject_texts(switches: OpenAISwitches, count: int) -> None:
    """Raise `OpenAIRefusal` for more texts than the server accepts in one request."""
    most = switches.most_texts
    if most is None or count <= most:
        return
    tei = f"batch size {count} > maximum allowed batch size {most}"
    dashscope = f"Value error, batch size is invalid, it should not be larger than {most}.: input.contents"
    azure = f"Too many inputs. The max number of inputs is {most}.  We hope to increase the number soon."
    gemini = f"* BatchEmbedContentsRequest.requests: at most {most} requests can be in one batch\n"
    mistral = {"object": "error", "message": "Too many inputs in request, split into more batches.", "code": "3210"}
    worded: dict[str, tuple[int, Any]] = {
        "tei": (413, {"message": tei, "code": 413, "type": "Validation"}),
        "litellm": (422, {"message": tei, "code": 422, "type": "Validation"}),
        "siliconflow": (413, {"code": 20042, "message": f"input {tei}", "data": None}),
        "dashscope": (400, {"error": {"message": f"<400> InternalError.Algo.InvalidParameter: {dashscope}"}}),
        "azure": (400, {"error": {"message": azure, "type": "invalid_request_error", "param": None, "code": None}}),
        "gemini": (400, [{"error": {"code": 400, "message": gemini, "status": "INVALID_ARGUMENT"}}]),
        "mistral": (400, mistral | {"type": "invalid_request_prompt", "param": None}),
        "nginx": (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
        "text": (413, "Failed to buffer the request body: length limit exceeded"),
    }
    status, body = worded[switches.wording]
    raise OpenAIRefusal(status, "", body=body)


def too_many_tokens(switches: OpenAISwitches, total: int) -> OpenAIRefusal:
    """Return the error for a request with too many tokens."""
    most = switches.max_tokens_a_request
    if switches.wording == "mistral":
        return OpenAIRefusal(400, f"Too many tokens in batch. Max is {most} got {total}")
    text = f"Requested {total} tokens, max {most} tokens per request."
    return OpenAIRefusal(400, text, "max_tokens_per_request", code="max_tokens_per_request")


def error_in_success() -> dict[str, Any]:
    """Return the body of an error with status 200."""
    return {"error": {"message": "Provider returned error", "code": 502}, "user_id": "user_1"}


def special_vector(text: str, numbers: Numbers) -> Numbers:
    """Return the vector of a text, or the special value that a marker in the text requests."""
    if "[[empty]]" in text:
        return []
    return next(([value] * len(numbers) for mark, value in _ODD.items() if mark in text), numbers)


def encode_vector(switches: OpenAISwitches, numbers: Numbers, as_base64: bool) -> Any:
    """Return a vector in the format of the server."""
    numbers = [n if n is None else n * switches.scale for n in numbers]
    if (as_base64 or switches.vectors == "base64") and None not in numbers:
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    if switches.vectors == "json":
        return json.dumps(numbers)
    if switches.vectors == "text":
        return [str(n) for n in numbers]
    return [numbers] if switches.vectors == "nested" else numbers


def response_rows(switches: OpenAISwitches, vectors: list[Any], kind: str | None) -> list[dict[str, Any]]:
    """Return the rows of a response. `kind` is the fault that applies."""
    made = [{"object": "embedding", "index": n, "embedding": each} for n, each in enumerate(vectors)]
    if kind == MISNUMBERED:
        made = [row | {"index": row["index"] + 1} for row in made]
    elif kind == SURPLUS:
        made.append(made[-1] | {"index": len(made)})
    elif kind in (SHORT, EMPTY):
        made = made[:-1] if kind == SHORT else []
    if switches.order == "reversed":
        made.reverse()
    for row in made:
        if switches.index == "omit" or (switches.index == "omit_zero" and row["index"] == 0):
            del row["index"]
        elif switches.index == "text":
            row["index"] = str(row["index"])
    return made


def _flat(message: str) -> OpenAIRefusal:
    body = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
    return OpenAIRefusal(400, message, body=body)
