"""The state and the controls of a simulated OpenAI. `control.py` offers the controls over HTTP."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from proofdesk_simulators.broken import CUT, HALF, TRICKLE

KEPT = 100_000
MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
DELAY, PAGE, GATEWAY, GARBLED = "delay", "page", "bad_gateway", "garbled"
SHORT, MISNUMBERED, EMPTY, SURPLUS = "short", "misnumbered", "empty", "surplus"
CHALLENGE, REDIRECT, ERROR_IN_200, WAIT_IN_WORDS = "challenge", "redirect", "error_in_200", "wait_in_words"


@dataclass(eq=False)
class OpenAIRefusal(Exception):
    """An error in OpenAI's words, or another server's: then `body` is its whole response."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    body: Any = None


CATALOGUE = {
    "invalid_api_key": OpenAIRefusal(
        401,
        "Incorrect API key provided: sk-***. You can find your API key at https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    ),
    "key_not_valid": OpenAIRefusal(
        400,
        "API key not valid. Please pass a valid API key.",
        body=[{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}],
    ),
    "no_connected_db": OpenAIRefusal(400, "No connected db.", "no_db_connection", code="400"),
    "forbidden": OpenAIRefusal(403, "You are not allowed to generate embeddings from this model."),
    "rate_limit": OpenAIRefusal(429, "Rate limit reached for requests.", "requests", code="rate_limit_exceeded"),
    "insufficient_quota": OpenAIRefusal(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        code="insufficient_quota",
    ),
    "bad_request": OpenAIRefusal(400, "'$.input' is invalid.", param="input"),
    "server_error": OpenAIRefusal(500, "The server had an error while processing your request.", "server_error"),
    WAIT_IN_WORDS: OpenAIRefusal(
        429,
        "Rate limit reached for text-embedding-3-small on tokens per min. Please try again in 20ms.",
        "tokens",
        code="rate_limit_exceeded",
    ),
    "unavailable": OpenAIRefusal(503, "The engine is currently overloaded, please try again later.", "server_error"),
}
MALFORMED = (GARBLED, SHORT, MISNUMBERED, EMPTY, SURPLUS, ERROR_IN_200)
PAGES = {PAGE: 200, GATEWAY: 502, CHALLENGE: 403, REDIRECT: 308}
KINDS = (*CATALOGUE, *MALFORMED, *PAGES, CUT, HALF, TRICKLE, DELAY)


@dataclass
class OpenAIFault:
    """Applies to each `every`-th matching request, at most `times` times, after `skip` matching ones.

    `kind` is a key of the catalogue; `cut` (the connection breaks), `half` (it breaks in the middle of the response),
    `trickle` (blanks without an end); `page` (200 with a web page), `bad_gateway` (502 with one), `challenge` (403 with
    one, as Cloudflare does), `redirect` (308), `garbled` (truncated JSON); `short` (the last vector is missing),
    `empty` (all are missing), `surplus` (one too many), `misnumbered` (indexes start at one); `error_in_200` (an error
    with a success status, see `deviations`); or `delay`.
    `delay` seconds pass first, whatever the kind. A request matches if a text contains `containing` and it has more
    than `beyond` texts. `should_retry` is the header that tells OpenAI's client whether to retry.
    """

    kind: str
    every: int = 1
    times: int | None = None
    skip: int = 0
    delay: float = 0.0
    retry_after: float | None = None
    containing: str = ""
    beyond: int = 0
    should_retry: bool | None = None
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind of fault {self.kind!r}. Use one of: {', '.join(KINDS)}")

    def strikes(self, texts: list[str]) -> bool:
        """Count this request and return whether the fault applies to it."""
        matches = len(texts) > self.beyond and any(self.containing in text for text in texts)
        if not matches or self.struck == self.times:
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.seen - self.skip) % self.every:
            return False
        self.struck += 1
        return True


@dataclass
class OpenAISwitches:
    """Set an attribute from Python, or `PATCH /_simulator/switches`.

    `key` is the only accepted key; None accepts any, and "" requires none. A text that contains `bad_text` is rejected
    with 400. `dimension` overrides the requested dimension. Without `base64`, the server returns floats only. With
    `azure`, only requests in Azure's form are accepted. The others are deviations of compatible servers: see
    `deviations`.
    """

    key: str | None = None
    bad_text: str = "[[refuse]]"
    dimension: int | None = None
    base64: bool = True
    max_tokens: int = 8192
    max_tokens_a_request: int = 300_000
    azure: bool = False
    encoding: str = "any"
    dimensions: str = "any"
    most_texts: int | None = None
    wording: str = "tei"
    index: str = "given"
    order: str = "asked"
    vectors: str = "numbers"
    scale: float = 1.0
    usage: bool = True


@dataclass
class EmbeddingRequest:
    """One received request."""

    model: str
    texts: int
    at: float
    status: int = 200
    encoding_format: str | None = None
    dimensions: int | None = None


@dataclass
class ChatRequest:
    """One received request for a chat completion."""

    model: str
    messages: list[dict[str, Any]]
    response_format: dict[str, Any] | None


@dataclass
class ChatSwitches:
    """How chat completions are answered.

    `lie` is one of `chat.LIES`; with `repairs`, a request to correct it is answered honestly. `refusal` is a key of the
    catalogue. Without `json_schema`, a request with a schema is refused. `answer` replaces the whole answer: it gets
    the data of the request, and whether this is a repair. `cost` is reported like OpenRouter does.
    """

    lie: str | None = None
    repairs: bool = False
    refusal: str | None = None
    json_schema: bool = True
    cost: float | None = None
    answer: Callable[[dict[str, Any], bool], dict[str, Any]] | None = None
    requests: list[ChatRequest] = field(default_factory=list)
    received: threading.Event = field(default_factory=threading.Event)


class OpenAISimulator:
    """The simulated server. Every attribute may be changed while the app serves from another thread.

    `models` maps each model to its dimension. `embedded` counts how often each text was embedded.
    """

    def __init__(self, models: dict[str, int] | None = None) -> None:
        self.models = dict(models or MODELS)
        self.switches = OpenAISwitches()
        self.chat = ChatSwitches()
        self.faults: list[OpenAIFault] = []
        self.requests: deque[EmbeddingRequest] = deque(maxlen=KEPT)
        self.embedded: Counter[str] = Counter()
        self.on_request: Callable[[list[str]], None] | None = None

    def fail(self, kind: str, **values: Any) -> OpenAIFault:
        """Add a fault. `values` are its fields. Raises ValueError for an unknown kind."""
        fault = OpenAIFault(kind, **values)
        self.faults.append(fault)
        return fault

    def reset_controls(self) -> None:
        """Remove faults and counts, and restore the default switches."""
        self.switches = OpenAISwitches()
        self.chat = ChatSwitches()
        self.faults = []
        self.requests.clear()
        self.embedded.clear()
