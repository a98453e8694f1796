"""The simulated OpenAI, through the official client and plain HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from proofdesk_simulators.openai import OpenAISimulator, create_app
from proofdesk_simulators.serving import running

SMALL = "text-embedding-3-small"


@pytest.fixture
def simulator() -> OpenAISimulator:
    return OpenAISimulator()


@pytest.fixture
def url(simulator: OpenAISimulator) -> Iterator[str]:
    with running(create_app(simulator)) as base_url:
        yield base_url


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=f"{url}/v1", max_retries=0) as opened:
        yield opened


def similarity(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_similar_texts_have_near_vectors(client: openai.OpenAI):
    texts = ["the parcel is delayed", "delays of the parcel", "we sell blue coats", "the parcel is delayed"]
    rows = client.embeddings.create(model=SMALL, input=texts).data
    a, b, c, d = [row.embedding for row in rows]
    assert [row.index for row in rows] == [0, 1, 2, 3]
    assert a == d and len(a) == 1536
    assert similarity(a, a) == pytest.approx(1, abs=1e-5)
    assert similarity(a, b) > 0.4 > similarity(a, c)


def test_floats_and_base64_are_equal(client: openai.OpenAI):
    one = client.embeddings.create(model=SMALL, input="blue coat", dimensions=64).data[0].embedding
    same = client.embeddings.create(model=SMALL, input="blue coat", dimensions=64, encoding_format="float").data[0]
    assert one == pytest.approx(same.embedding, abs=1e-6)


def test_a_response_has_the_shape_of_openai(url: str):
    answer = httpx2.post(
        f"{url}/v1/embeddings", json={"model": SMALL, "input": "coat"}, headers={"Authorization": "Bearer k"}
    )
    body = answer.json()
    assert set(body) == {"object", "data", "model", "usage"} and body["object"] == "list"
    assert set(body["data"][0]) == {"object", "index", "embedding"}
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] > 0
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("request_body", "status", "code", "message"),
    [
        ({"model": "nothing-3", "input": "a"}, 404, "model_not_found", "does not exist"),
        ({"model": SMALL, "input": ""}, 400, None, "is invalid"),
        ({"model": SMALL, "input": []}, 400, None, "is invalid"),
        ({"model": SMALL, "input": ["a"] * 2049}, 400, None, "is invalid"),
        ({"model": SMALL, "input": ["fine", "has [[refuse]] in it"]}, 400, None, r"input[1]"),
        ({"model": SMALL, "input": "long " * 8192}, 400, None, "maximum input length is 8192"),
        ({"model": SMALL, "input": ["long " * 6000] * 50}, 400, "max_tokens_per_request", "max 300000"),
        ({"model": SMALL, "input": "a", "dimensions": 9999}, 400, None, "dimensions"),
        ({"model": "text-embedding-ada-002", "input": "a", "dimensions": 64}, 400, None, "does not support"),
        ({"model": SMALL}, 400, "missing_required_parameter", "input"),
    ],
)
def test_invalid_requests_are_rejected_like_openai(
    url: str, request_body: dict[str, Any], status: int, code: str, message: str
):
    answer = httpx2.post(f"{url}/v1/embeddings", json=request_body, headers={"Authorization": "Bearer k"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert message in error["message"] and set(error) == {"message", "type", "param", "code"}


def test_a_key_is_required_and_can_be_checked(url: str, client: openai.OpenAI, simulator: OpenAISimulator):
    assert httpx2.post(f"{url}/v1/embeddings", json={"model": SMALL, "input": "a"}).status_code == 401
    simulator.switches.key = "sk-other"
    with pytest.raises(openai.AuthenticationError) as raised:
        client.embeddings.create(model=SMALL, input="a")
    assert raised.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("rate_limit", openai.RateLimitError),
        ("insufficient_quota", openai.RateLimitError),
        ("server_error", openai.InternalServerError),
        ("unavailable", openai.InternalServerError),
        ("forbidden", openai.PermissionDeniedError),
        ("bad_request", openai.BadRequestError),
        ("cut", openai.APIConnectionError),
        ("half", openai.APIConnectionError),
        ("bad_gateway", openai.InternalServerError),
    ],
)
def test_faults_apply_to_requests(client: openai.OpenAI, simulator: OpenAISimulator, kind: str, error: type):
    fault = simulator.fail(kind, skip=1, times=1)
    client.embeddings.create(model=SMALL, input="a")
    with pytest.raises(error):
        client.embeddings.create(model=SMALL, input="a")
    client.embeddings.create(model=SMALL, input="a")
    assert fault.struck == 1 and len(simulator.requests) == 3


def test_a_rate_limit_names_the_time_to_wait(client: openai.OpenAI, simulator: OpenAISimulator):
    simulator.fail("rate_limit", retry_after=7)
    with pytest.raises(openai.RateLimitError) as raised:
        client.embeddings.create(model=SMALL, input="a")
    assert raised.value.response.headers["retry-after"] == "7" and raised.value.code == "rate_limit_exceeded"


def test_vectors_can_have_the_wrong_length(client: openai.OpenAI, simulator: OpenAISimulator):
    simulator.switches.dimension = 8
    assert len(client.embeddings.create(model=SMALL, input="a").data[0].embedding) == 8


def test_a_vector_can_be_missing_and_the_others_misnumbered(client: openai.OpenAI, simulator: OpenAISimulator):
    simulator.fail("short", times=1)
    assert len(client.embeddings.create(model=SMALL, input=["a", "b"]).data) == 1
    simulator.fail("misnumbered", times=1)
    assert [row.index for row in client.embeddings.create(model=SMALL, input=["a", "b"]).data] == [1, 2]


def test_models_are_listed(client: openai.OpenAI):
    assert SMALL in [model.id for model in client.models.list().data]


def test_the_controls_work_over_http(url: str, client: openai.OpenAI):
    control = httpx2.Client(base_url=f"{url}/_simulator")
    control.post("/faults", json={"kind": "server_error", "times": 1}).raise_for_status()
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model=SMALL, input="a")
    assert control.patch("/switches", json={"dimension": 8}).json()["dimension"] == 8
    assert control.get("/state").json()["faults"][0]["struck"] == 1
    assert [row["status"] for row in control.get("/requests").json()["requests"]] == [500]
    assert control.post("/faults", json={"kind": "unheard-of"}).status_code == 422
    assert control.patch("/switches", json={"unheard-of": 1}).status_code == 422
    control.post("/reset").raise_for_status()
    assert control.get("/requests").json()["count"] == 0
    control.close()
