"""Hostile answers of an embedding server: whatever one holds, the result is one vector a text, or a clear error."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proofdesk.indexing.embeddings import capabilities, factory
from proofdesk.indexing.embeddings.provider import EmbeddingError
from proofdesk_simulators.serving import running
from tests.support.embedding import settings
from tests.support.hostile_answers import HostileAnswer, hostile_answers

TEXTS = ["Where is my parcel?", "It was sent on Monday."]
DIMENSION = 3
VECTOR = b"[0.6, 0.8, 0]"
ROWS = b'[{"object":"embedding","index":0,"embedding":%s},{"object":"embedding","index":1,"embedding":%s}]'
GOOD_ROWS = ROWS % (VECTOR, VECTOR)

TEMPLATES = [
    (200, b"%s"),
    (200, b'{"object":%s,"data":' + GOOD_ROWS + b"}"),
    (200, b'{"data":%s}'),
    (200, b'{"data":[%s,%s]}'),
    (200, b'{"data":[{"index":%s,"embedding":' + VECTOR + b'},{"index":1,"embedding":' + VECTOR + b"}]}"),
    (200, b'{"data":[{"index":0,"embedding":%s},{"index":1,"embedding":' + VECTOR + b"}]}"),
    (200, b'{"data":[{"index":0,"embedding":[0.6,%s,0]},{"index":1,"embedding":' + VECTOR + b"}]}"),
    (200, b'{"data":' + GOOD_ROWS + b',"model":%s}'),
    (200, b'{"data":' + GOOD_ROWS + b',"usage":%s}'),
    (200, b'{"data":' + GOOD_ROWS + b',"error":%s}'),
    (200, b'{"error":{"message":%s,"code":%s}}'),
    (400, b"%s"),
    (400, b'{"error":%s}'),
    (400, b'{"error":{"message":%s,"type":%s,"param":%s,"code":%s}}'),
    (429, b'{"error":{"message":"slow down","code":%s}}'),
    (500, b'{"error":{"message":%s}}'),
]


async def test_hostile_answer_gives_vectors_or_a_clear_error():
    current = HostileAnswer(200, b'{"data":' + GOOD_ROWS + b"}")

    async def embeddings(request: Request) -> Response:
        await request.body()
        headers = {"content-type": "application/json"} | current.headers
        return Response(current.body, current.status, headers)

    app = Starlette(routes=[Route("/v1/embeddings", embeddings, methods=["POST"])])
    with running(app) as address:
        values = {"openai_api_key": "sk-test", "openai_base_url": f"{address}/v1", "embedding_dim": DIMENSION}
        provider = factory.open_provider(settings(embedding_model="any", **values))
        good = await provider.embed_documents(TEXTS)
        for answer in hostile_answers(TEMPLATES):
            current = answer
            capabilities.reset_capabilities()
            try:
                async with asyncio.timeout(5):
                    vectors = await provider.embed_documents(TEXTS)
            except EmbeddingError as error:
                assert 20 < len(str(error)) < 2000, str(answer)
                assert str(error).isprintable(), str(answer)
            else:
                assert len(vectors) == 2 and {len(v) for v in vectors} == {DIMENSION}, str(answer)
                assert list(vectors[1]) == pytest.approx(list(good[1])), str(answer)
        await provider.aclose()
