"""The simulated Telegram, through Proofdesk's client and plain HTTP."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk_simulators.serving import running
from proofdesk_simulators.telegram import TelegramSimulator, create_app

ADA = 4711


@pytest.fixture
def simulator() -> TelegramSimulator:
    return TelegramSimulator()


@pytest.fixture
def url(simulator: TelegramSimulator) -> Iterator[str]:
    with running(create_app(simulator)) as base_url:
        yield base_url


@pytest.fixture
async def bot(simulator: TelegramSimulator, url: str) -> AsyncIterator[Bot]:
    made = Bot(url, simulator.token)
    yield made
    await made.aclose()


def _call(url: str, simulator: TelegramSimulator, method: str, **params: Any) -> httpx2.Response:
    return httpx2.post(f"{url}/bot{simulator.token}/{method}", json=params, trust_env=False)


async def test_the_bot_returns_its_identity(bot: Bot, simulator: TelegramSimulator):
    assert (await bot.identity()).username == simulator.username


async def test_a_message_reaches_a_person_with_a_chat(bot: Bot, simulator: TelegramSimulator):
    simulator.person(ADA)
    await bot.send(ADA, "Hello")
    assert [(m.chat_id, m.text) for m in simulator.sent] == [(ADA, "Hello")]


async def test_rejections_are_permanent_and_failures_are_not(bot: Bot, simulator: TelegramSimulator):
    with pytest.raises(TelegramError, match="chat not found") as refused:
        await bot.send(ADA, "Hello")
    assert refused.value.permanent
    simulator.person(ADA).blocks = True
    with pytest.raises(TelegramError, match="blocked by the user") as refused:
        await bot.send(ADA, "Hello")
    assert refused.value.permanent and refused.value.status == 403
    simulator.people[ADA].blocks = False
    for kind in ("server_error", "bad_gateway", "too_many_requests", "cut", "page"):
        simulator.fail(kind, times=1)
        with pytest.raises(TelegramError) as failed:
            await bot.send(ADA, "Hello")
        assert not failed.value.permanent, kind
        assert failed.value.retry_after == (5 if kind == "too_many_requests" else None)
    await bot.send(ADA, "Hello")
    assert len(simulator.sent) == 1


async def test_a_slow_response_times_out(simulator: TelegramSimulator, url: str):
    impatient = Bot(url, simulator.token, timeout=0.1)
    simulator.fail("delay", delay=0.5)
    with pytest.raises(TelegramError, match="ReadTimeout"):
        await impatient.identity()
    await impatient.aclose()


async def test_no_error_contains_the_token(url: str, simulator: TelegramSimulator):
    for token in ("123456:WRONG-token", "no token at all", "../../x", "a\x00b\n"):
        for address in (url, "http://127.0.0.1:1", "no-scheme", "http://[broken"):
            try:
                wrong = Bot(address, token)
            except Exception as error:
                assert address == "http://[broken" and token not in str(error)
                continue
            with pytest.raises(TelegramError) as refused:
                await wrong.identity()
            assert token not in f"{refused.value!r} {refused.value.message} {refused.value.details}"
            assert refused.value.__cause__ is None
            await wrong.aclose()


def test_errors_have_the_shape_of_the_bot_api(url: str, simulator: TelegramSimulator):
    wrong = httpx2.get(f"{url}/bot123:abc/getMe", trust_env=False)
    assert (wrong.status_code, wrong.json()) == (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
    assert httpx2.get(f"{url}/botnonsense/getMe", trust_env=False).status_code == 404
    assert _call(url, simulator, "noSuchMethod").json()["error_code"] == 404
    assert "text is empty" in _call(url, simulator, "sendMessage", chat_id=simulator.person(1).id).text
    simulator.fail("too_many_requests", times=1)
    answer = _call(url, simulator, "getMe")
    assert (answer.status_code, answer.json()["parameters"]) == (429, {"retry_after": 5})


def test_parameters_are_read_from_json_form_or_query(url: str, simulator: TelegramSimulator):
    simulator.person(ADA)
    base = f"{url}/bot{simulator.token}/sendMessage"
    as_form = httpx2.post(base, data={"chat_id": str(ADA), "text": "a"}, trust_env=False)
    for answer in (httpx2.post(base, json={"chat_id": ADA, "text": "a"}, trust_env=False), as_form):
        assert answer.json()["result"]["chat"] == {"id": ADA, "first_name": "Ada", "type": "private"}
    assert httpx2.get(base, params={"chat_id": ADA, "text": "a"}, trust_env=False).json()["ok"]


async def test_a_webhook_must_be_https_unless_it_is_local(bot: Bot, simulator: TelegramSimulator):
    with pytest.raises(TelegramError, match="HTTPS URL must be provided"):
        await bot.set_webhook("http://example.com/hook", None)
    with pytest.raises(TelegramError, match="unallowed characters"):
        await bot.set_webhook("https://example.com/hook", "not: allowed")
    await bot.set_webhook("https://example.com/hook", "fine")
    assert (await bot.webhook_info()).url == "https://example.com/hook"
    assert simulator.hook.allowed_updates == ["message"]


async def test_updates_carry_the_secret_and_stay_pending_when_rejected(bot: Bot, simulator: TelegramSimulator):
    answers = [401, 200, 200]
    got: list[tuple[str | None, Any]] = []

    async def hook(request: Request) -> JSONResponse:
        got.append((request.headers.get("x-telegram-bot-api-secret-token"), await request.json()))
        return JSONResponse({}, answers[len(got) - 1])

    with running(Starlette(routes=[Route("/hook", hook, methods=["POST"])])) as address:
        await bot.set_webhook(f"{address}/hook", "s3cret")
        assert simulator.write(ADA, "/bind").status == 401
        found = await bot.webhook_info()
        assert (found.pending, found.last_error) == (1, "Wrong response from the webhook: 401 Unauthorized")
        assert found.last_error_at is not None
        assert [d.status for d in simulator.redeliver()] == [200]
        simulator.write(ADA, "hello", chat={"id": -100, "type": "supergroup", "title": "Team"})
    assert [secret for secret, _ in got] == ["s3cret"] * 3
    first, second, third = (update for _, update in got)
    assert first == second and third["update_id"] > first["update_id"]
    assert first["message"]["entities"] == [{"offset": 0, "length": 5, "type": "bot_command"}]
    assert first["message"]["chat"]["type"] == "private" and third["message"]["chat"]["type"] == "supergroup"


async def test_the_controls_work_over_http(url: str, bot: Bot, simulator: TelegramSimulator):
    async with httpx2.AsyncClient(base_url=f"{url}/_simulator", trust_env=False) as control:
        person = (await control.patch("/people", json={"id": ADA, "first_name": "Ada", "blocks": True})).json()
        assert person["blocks"]
        await control.post("/faults", json={"kind": "server_error", "times": 1})
        assert (await control.post("/faults", json={"kind": "nonsense"})).status_code == 422
        assert (await control.post("/messages", json={"from": ADA, "text": "/start"})).json()["status"] is None
        state = (await control.get("/state")).json()
        assert len(state["pending"]) == 1 and state["faults"][0]["kind"] == "server_error"
        await control.post("/reset")
        simulator.person(ADA)
        await bot.send(ADA, "Hello")
        assert (await control.get("/sent")).json()["sent"][0]["text"] == "Hello"
