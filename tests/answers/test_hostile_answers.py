"""Hostile answers of a chat model: whatever one holds, the result is a text or a clear error."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proofdesk.answers.chat_model import AnswerModelFailed, ChatModel
from proofdesk.answers.prompt import parse_answer
from proofdesk_simulators.serving import running
from tests.support.hostile_answers import JSON_VALUES, HostileAnswer, hostile_answers

TEMPLATES = [
    (200, b"%s"),
    (200, b'{"choices":%s}'),
    (200, b'{"choices":[%s]}'),
    (200, b'{"choices":[{"message":%s}]}'),
    (200, b'{"choices":[{"message":{"content":%s}}]}'),
    (200, b'{"choices":[{"message":{"content":"x","refusal":%s}}]}'),
    (200, b'{"choices":[{"message":{"content":"x"}}],"usage":%s}'),
    (200, b'{"choices":[{"message":{"content":"x"}}],"usage":{"total_tokens":%s}}'),
    (200, b'{"choices":[{"message":{"content":"x"}}],"more":%s}'),
    (400, b'{"error":%s}'),
    (400, b'{"error":{"message":%s}}'),
    (429, b'{"error":%s}'),
    (500, b"%s"),
]


async def test_hostile_answer_gives_text_or_a_clear_error():
    current = HostileAnswer(200, b"")

    async def completions(request: Request) -> Response:
        await request.body()
        return Response(current.body, current.status, {"content-type": "application/json"} | current.headers)

    app = Starlette(routes=[Route("/v1/chat/completions", completions, methods=["POST"])])
    with running(app) as address:
        model = ChatModel("any", f"{address}/v1", "key")
        for answer in hostile_answers(TEMPLATES):
            current = answer
            try:
                async with asyncio.timeout(5):
                    completion = await model.complete([{"role": "user", "content": "Hello"}], {"type": "object"})
            except AnswerModelFailed as error:
                assert 20 < len(error.message) < 2000 and error.message.isprintable(), str(answer)
            else:
                assert completion.text and completion.tokens >= 0, str(answer)
        await model.aclose()


def test_hostile_text_of_a_model_is_no_answer():
    for value in JSON_VALUES:
        text = value.decode()
        for content in (text, f'{{"sentences":{text}}}', f'{{"sentences":[{{"text":{text}}}]}}'):
            parsed = parse_answer(content)
            assert parsed is None or all(isinstance(s.text, str) for s in parsed.sentences), content[:80]
