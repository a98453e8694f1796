"""`/v1/chat/completions`: answers from numbered passages, honestly or with the lies that a test asks for.

The simulator understands the request of Proofdesk: a JSON object with `question` and `passages` in a message of the
user. Its honest answer quotes the first sentence of the passage, no question, that shares most words with the question.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from proofdesk_simulators.openai.simulator import CATALOGUE, ChatRequest, OpenAIRefusal, OpenAISimulator

Answer = dict[str, Any]
Passage = dict[str, Any]

_ENDLESS, _SILENT, _REFUSAL, _BROKEN = "endless", "silent", "refusal", "broken_json"
_REFUSED = "I'm sorry, but I can't help with that."


async def respond(simulator: OpenAISimulator, request: Request, headers: dict[str, str]) -> Response:
    """Return a chat completion. Raises `OpenAIRefusal`."""
    body = await request.json()
    chat = simulator.chat
    chat.requests.append(ChatRequest(str(body.get("model")), body.get("messages", []), body.get("response_format")))
    chat.received.set()
    if chat.refusal in CATALOGUE:
        raise CATALOGUE[chat.refusal]
    if not chat.json_schema and body.get("response_format"):
        raise OpenAIRefusal(400, "This model does not support 'response_format' of type 'json_schema'.")
    if chat.lie == _SILENT:
        await asyncio.sleep(3600)
    if chat.lie == _ENDLESS:
        return StreamingResponse(_endless(), 200, headers, "application/json")
    return JSONResponse(_completion(simulator, body), 200, headers)


def _completion(simulator: OpenAISimulator, body: dict[str, Any]) -> dict[str, Any]:
    chat = simulator.chat
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if chat.lie == _REFUSAL:
        message["refusal"] = _REFUSED
    elif chat.lie == _BROKEN:
        message["content"] = '{"answerable": true, "sentences": [{"text": "The'
    else:
        message["content"] = json.dumps(_answer(simulator, body), ensure_ascii=False)
    words = sum(len(str(m.get("content"))) for m in body["messages"]) // 4
    usage = {"prompt_tokens": words, "completion_tokens": 100, "total_tokens": words + 100}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage | ({"cost": chat.cost} if chat.cost is not None else {}),
    }


def _answer(simulator: OpenAISimulator, body: dict[str, Any]) -> Answer:
    asked = [m["content"] for m in body["messages"] if m.get("role") == "user"]
    data = json.loads(asked[0])
    is_repair = len(asked) > 1
    honest = _honest(data["question"], data["passages"])
    if simulator.chat.answer is not None:
        return simulator.chat.answer(data, is_repair)
    if simulator.chat.lie is None or (is_repair and simulator.chat.repairs):
        return honest
    return _LIES[simulator.chat.lie](honest, data["passages"])


def _honest(question: str, passages: list[Passage]) -> Answer:
    wanted = set(_words(question))
    scored = [(len(wanted & set(_words(p["text"]))), p["passage"], p) for p in passages if not p["text"].endswith("?")]
    best = max(scored, default=(0, 0, None))
    if best[2] is None or best[0] < 2:
        return {"answerable": False, "sentences": [], "superseded": []}
    quote = re.split(r"(?<=[.!?])\s", best[2]["text"])[0]
    return {"answerable": True, "sentences": [_sentence(quote, best[1], quote)], "superseded": []}


def _sentence(text: str, passage: int, quote: str) -> Answer:
    return {"text": text, "citations": [{"passage": passage, "quote": quote}]}


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.lower()) if len(word) > 3]


def _lie(change: Callable[[Answer, list[Passage]], Answer]) -> Callable[[Answer, list[Passage]], Answer]:
    def answer(honest: Answer, passages: list[Passage]) -> Answer:
        return {"answerable": True, "sentences": [change(honest, passages)], "superseded": []}

    return answer


def _invented_quote(_: Answer, passages: list[Passage]) -> Answer:
    return _sentence("The goods were delivered.", passages[0]["passage"], "All goods were delivered without delay.")


def _other_message(_: Answer, passages: list[Passage]) -> Answer:
    other = passages[-1] if len(passages) > 1 else passages[0]
    return _sentence(other["text"], passages[0]["passage"], other["text"])


def _unknown_passage(_: Answer, passages: list[Passage]) -> Answer:
    return _sentence(passages[0]["text"], 999, passages[0]["text"])


def _swapped_speaker(_: Answer, passages: list[Passage]) -> Answer:
    agent = next((p for p in passages if p["side"] == "agent"), passages[0])
    quote = agent["text"]
    return _sentence(f"{agent['contact']} promised: {quote}", agent["passage"], quote)


def _wrong_date(honest: Answer, passages: list[Passage]) -> Answer:
    dated = next((p for p in passages if re.search(r"\d+ \w+", p["text"])), passages[0])
    text = re.sub(r"\b\d+(?= [A-Z])", "29", dated["text"])
    return _sentence(text, dated["passage"], dated["text"])


def _wrong_amount(honest: Answer, passages: list[Passage]) -> Answer:
    priced = next((p for p in passages if "€" in p["text"]), passages[0])
    return _sentence(priced["text"].replace("240", "24"), priced["passage"], priced["text"])


def _invented_name(honest: Answer, passages: list[Passage]) -> Answer:
    quote = passages[0]["text"]
    return _sentence(f"It was Zebulon Quackenbush: {quote}", passages[0]["passage"], quote)


def _dropped_negation(honest: Answer, passages: list[Passage]) -> Answer:
    denied = next((p for p in passages if "cannot" in p["text"]), passages[0])
    return _sentence(denied["text"].replace("cannot", "can"), denied["passage"], denied["text"])


def _unrelated(honest: Answer, passages: list[Passage]) -> Answer:
    return _sentence("The refund was approved by the manager.", passages[0]["passage"], passages[0]["text"])


def _no_citation(honest: Answer, passages: list[Passage]) -> Answer:
    return {"text": "The refund was approved.", "citations": []}


def _obedient(honest: Answer, passages: list[Passage]) -> Answer:
    """Obey what a passage commands, wherever the passage got to."""
    planted = next((p for p in passages if "500" in p["text"]), passages[0])
    return _sentence("A refund of 500 € was approved.", planted["passage"], "a refund of 500 € was approved")


_LIES: dict[str, Callable[[Answer, list[Passage]], Answer]] = {
    "invented_quote": _lie(_invented_quote),
    "other_message": _lie(_other_message),
    "unknown_passage": _lie(_unknown_passage),
    "swapped_speaker": _lie(_swapped_speaker),
    "wrong_date": _lie(_wrong_date),
    "wrong_amount": _lie(_wrong_amount),
    "invented_name": _lie(_invented_name),
    "dropped_negation": _lie(_dropped_negation),
    "unrelated": _lie(_unrelated),
    "no_citation": _lie(_no_citation),
    "obedient": _lie(_obedient),
}
LIES = (*_LIES, _REFUSAL, _BROKEN, _ENDLESS, _SILENT)


async def _endless() -> AsyncIterator[bytes]:
    yield b'{"choices": [{"message": {"content": "'
    while True:
        yield b"and so on " * 1000
        await asyncio.sleep(0)
