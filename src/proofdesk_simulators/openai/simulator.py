"""The controls of a simulated OpenAI, for tests in Python. `control.py` offers the same over HTTP."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proofdesk_simulators.broken import CUT, HALF, TRICKLE

KEPT = 100_000
MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
DELAY, PAGE, GATEWAY, GARBLED = "delay", "page", "bad_gateway", "garbled"
SHORT, MISNUMBERED, EMPTY, SURPLUS = "short", "misnumbered", "empty", "surplus"
CHALLENGE, REDIRECT, ERROR_IN_200, WAIT_IN_WORDS = "challenge", "redirect", "error_in_200", "wait_in_words"


@dataclass(eq=False)
class OpenAIRefusal(Exception):
    """An error as OpenAI words it, or as another server does: then `body` is the whole of its answer."""

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
    """Strikes each `every`-th matching request, at most `times` times, after `skip` matching ones.

    `kind` is a name of the catalogue; `cut` (the connection breaks), `half` (in the middle of the real answer),
    `trickle` (blanks without an end); `page` (200 with a web page), `bad_gateway` (502 with one), `challenge` (403 with
    one, as Cloudflare does), `redirect` (308), `garbled` (JSON that stops); `short` (the last vector is missing),
    `empty` (all are), `surplus` (there is one more), `misnumbered` (they are counted from one); `error_in_200` (an
    error with the status of a success, see `habits`); or `delay`.
    `delay` seconds pass first whatever the kind. Requests match that hold the text `containing` and that are of more
    than `beyond` texts. `should_retry` is the header by which OpenAI tells its client whether to try again.
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
            raise ValueError(f"unknown kind of fault {self.kind!r}; known: {', '.join(KINDS)}")

    def strikes(self, texts: list[str]) -> bool:
        """Count this request, and say whether the fault applies to it."""
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

    `key` is the only key that is let in; None lets any in, and "" whoever has none. A text that holds `bad_text` is
    refused with 400. `dimension` is what vectors have whatever was asked for. `base64` off is a server that knows
    floats only. `azure` lets in what Azure does, and nothing else. The others are habits of compatible servers: see
    `habits`, which says who has them.
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
    """One request that was received."""

    model: str
    texts: int
    at: float
    status: int = 200
    encoding_format: str | None = None
    dimensions: int | None = None


class OpenAISimulator:
    """The controls. Every attribute may be changed while the app serves from another thread.

    `models` maps the models there are to their dimensions. `embedded` counts how often each text got a vector.
    """

    def __init__(self, models: dict[str, int] | None = None) -> None:
        self.models = dict(models or MODELS)
        self.switches = OpenAISwitches()
        self.faults: list[OpenAIFault] = []
        self.requests: deque[EmbeddingRequest] = deque(maxlen=KEPT)
        self.embedded: Counter[str] = Counter()
        self.on_request: Callable[[list[str]], None] | None = None

    def fail(self, kind: str, **values: Any) -> OpenAIFault:
        """Add a fault; `values` as in `Fault`. Raises ValueError for an unknown kind."""
        fault = OpenAIFault(kind, **values)
        self.faults.append(fault)
        return fault

    def reset_controls(self) -> None:
        """No faults, default switches, nothing counted."""
        self.switches = OpenAISwitches()
        self.faults = []
        self.requests.clear()
        self.embedded.clear()
