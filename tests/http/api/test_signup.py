"""Signup and the Telegram bot, over HTTP and on pages."""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from proofdesk.accounts import telegram
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.settings import Settings
from proofdesk_simulators.telegram import TelegramSimulator
from tests.support.server import ORIGIN, PIN_SECRET, WEBHOOK_SECRET, Cast, open_client

OWNER, EVE = 4711, 6666
ACCOUNT = {"username": "amina", "password": "a long enough password"}
HTML = {"accept": "text/html"}
HOOK = "/auth/telegram/webhook"
SECRET = {"x-telegram-bot-api-secret-token": WEBHOOK_SECRET}


@pytest.fixture
def simulator(server: str, telegram_server: tuple[TelegramSimulator, str]) -> Iterator[TelegramSimulator]:
    """The simulated Telegram, with the webhook of the server."""
    simulator = telegram_server[0]
    simulator.reset()
    simulator.hook.url, simulator.hook.secret_token = server + HOOK, WEBHOOK_SECRET
    yield simulator
    simulator.reset()


@pytest.fixture
async def owner_bound(simulator: TelegramSimulator, db: Database) -> None:
    code, _ = await telegram.create_bind_code(db, Settings(telegram_bot_token="1:x"), system_actor())  # type: ignore[arg-type]
    assert (await _write(simulator, OWNER, f"/bind@proofdesk_bot {code}")).body["owner_bound"] is True


async def _write(simulator: TelegramSimulator, sender: int, text: str, **about: Any) -> Any:
    return await asyncio.to_thread(simulator.write, sender, text, **about)


def _pin(simulator: TelegramSimulator) -> str:
    match = re.search(r"\b\d{6}\b", simulator.sent[-1].text)
    assert match and simulator.sent[-1].chat_id == OWNER
    return match[0]


async def _start(client: httpx2.AsyncClient, body: Any = ACCOUNT, **options: Any) -> httpx2.Response:
    return await client.post("/auth/signup/start", json=body, **options)


async def _confirm(client: httpx2.AsyncClient, request_id: str, pin: str, **options: Any) -> httpx2.Response:
    body = {"signup_request_id": request_id, "pin": pin}
    return await client.post("/auth/signup/confirm", json=body, **options)


async def test_signup_ends_with_a_session(
    anyone: httpx2.AsyncClient, simulator: TelegramSimulator, owner_bound: None, server_log: Path
):
    status = (await anyone.get("/auth/signup/status")).json()
    assert (status["enabled"], status["has_telegram_token"], status["owner_bound"]) == (True, True, True)
    started = await _start(anyone, ACCOUNT | {"username": "Amina"})
    assert started.status_code == 200 and "set-cookie" not in started.headers
    body = started.json()
    assert body["message"] == "pin_sent" and body["expires_at"].endswith("Z") and body["signup_request_id"]
    pin = _pin(simulator)
    assert "amina" in simulator.sent[-1].text and "127.0.0.1" in simulator.sent[-1].text
    assert pin not in started.text
    confirmed = await _confirm(anyone, body["signup_request_id"], pin)
    assert confirmed.status_code == 200
    assert confirmed.json() | {"request_id": ""} == {
        "ok": True, "username": "amina", "active_project_id": None, "csrf_cookie_name": "csrf_token", "request_id": "",
    }  # fmt: skip
    assert {c.split("=")[0] for c in confirmed.headers.get_list("set-cookie")} == {"sid", "csrf_token"}
    assert (await anyone.get("/auth/me")).json()["username"] == "amina"
    logged = await asyncio.to_thread(server_log.read_text)
    assert "signup" in logged
    for hidden in (simulator.token, WEBHOOK_SECRET, PIN_SECRET, ACCOUNT["password"]):
        assert hidden not in logged
    assert f'"{pin}"' not in logged and f" {pin}" not in logged


async def test_two_confirmations_at_once_create_one_account(
    anyone: httpx2.AsyncClient, simulator: TelegramSimulator, owner_bound: None, owner_conn: psycopg.Connection
):
    request_id = (await _start(anyone)).json()["signup_request_id"]
    pin = _pin(simulator)
    async with open_client(str(anyone.base_url)) as other:
        answers = await asyncio.gather(*(_confirm((anyone, other)[n % 2], request_id, pin) for n in range(8)))
    codes = Counter(a.json().get("error", "in") for a in answers)
    assert codes == {"in": 1, "signup_request_invalid": 7}
    assert owner_conn.execute("SELECT count(*) FROM app_users").fetchone() == (1,)


async def test_a_right_pin_among_many_guesses_does_not_lift_the_limit(
    anyone: httpx2.AsyncClient, simulator: TelegramSimulator, owner_bound: None
):
    request_id = (await _start(anyone)).json()["signup_request_id"]
    right = int(_pin(simulator))
    guesses = [_confirm(anyone, request_id, f"{(right + n) % 1_000_000:06}") for n in range(1, 25)]
    answers = await asyncio.gather(*guesses)
    codes = Counter((a.status_code, a.json()["error"]) for a in answers)
    assert codes == {(401, "invalid_pin"): 8, (429, "pin_attempts_exceeded"): 16}
    late = await _confirm(anyone, request_id, f"{right:06}")
    assert (late.status_code, late.json()["error"]) == (429, "pin_attempts_exceeded")


async def test_every_refusal_has_its_code(
    anyone: httpx2.AsyncClient, simulator: TelegramSimulator, db: Database, owner_conn: psycopg.Connection
):
    def outcome(answer: httpx2.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["error"]

    assert outcome(await _start(anyone)) == (409, "telegram_owner_not_bound")
    code, _ = await telegram.create_bind_code(db, Settings(telegram_bot_token="1:x"), system_actor())  # type: ignore[arg-type]
    await _write(simulator, OWNER, f"/bind {code}")
    for body, expected in (
        ({}, "invalid_username"),
        (ACCOUNT | {"username": "no spaces"}, "invalid_username"),
        (ACCOUNT | {"password": "short"}, "invalid_password"),
        ({"username": "amina"}, "invalid_password"),
        (ACCOUNT | {"username": ["a"]}, "invalid_request"),
    ):
        assert outcome(await _start(anyone, body)) == (400, expected)
    simulator.people[OWNER].blocks = True
    answer = await _start(anyone)
    assert outcome(answer) == (502, "telegram_send_failed")
    assert answer.json()["details"]["upstream"]["status"] == 403 and simulator.token not in answer.text
    simulator.people[OWNER].blocks = False
    for request_id in ("", "x", "00000000-0000-0000-0000-000000000000"):
        assert outcome(await _confirm(anyone, request_id, "123456")) == (400, "signup_request_invalid")
    request_id = (await _start(anyone)).json()["signup_request_id"]
    owner_conn.execute("UPDATE signup_requests SET expires_at = now()")
    assert outcome(await _confirm(anyone, request_id, _pin(simulator))) == (400, "pin_expired")
    request_id = (await _start(anyone)).json()["signup_request_id"]
    await _confirm(anyone, request_id, _pin(simulator))
    assert outcome(await _start(anyone)) == (409, "username_taken")
    for _ in range(10):
        answer = await _start(anyone, ACCOUNT | {"username": secrets.token_hex(6)})
    assert outcome(answer) == (429, "signup_rate_limited") and int(answer.headers["retry-after"]) > 0


async def test_a_page_of_another_site_cannot_sign_up(anyone: httpx2.AsyncClient, simulator: TelegramSimulator):
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    for answer in (await _start(anyone, headers=foreign), await _confirm(anyone, "x", "1", headers=foreign)):
        assert (answer.status_code, answer.json()["error"]) == (403, "csrf_invalid")
    assert (await _start(anyone, headers=foreign | {"origin": ORIGIN})).status_code == 409


async def test_updates_need_the_webhook_secret(anyone: httpx2.AsyncClient, simulator: TelegramSimulator, db: Database):
    update = simulator.update(OWNER, "/start")
    for headers, query in (({}, ""), ({"x-telegram-bot-api-secret-token": "wrong"}, ""), ({}, "?secret=wrong")):
        for body in (update, {}, {"update_id": "x"}):
            answer = await anyone.post(HOOK + query, json=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_webhook_secret")
    assert not simulator.sent
    assert (await anyone.post(HOOK, json=update, headers=SECRET)).json()["ok"]
    later = simulator.update(OWNER, "/help")
    assert (await anyone.post(f"{HOOK}?secret={WEBHOOK_SECRET}", json=later)).json()["ok"]
    assert len(simulator.sent) == 2


async def test_invalid_updates_are_refused_and_other_updates_ignored(
    anyone: httpx2.AsyncClient, simulator: TelegramSimulator
):
    for wrong in ({}, {"update_id": None}, {"update_id": -1}, {"update_id": 2**63}, {"update_id": 1.5}, []):
        assert (await anyone.post(HOOK, json=wrong, headers=SECRET)).status_code == 400, wrong
    for number, rest in enumerate(({}, {"message": None}, {"message": "x"}, {"channel_post": {}}, {"message": {}})):
        answer = await anyone.post(HOOK, json={"update_id": number, **rest}, headers=SECRET)
        assert answer.status_code == 200 and "owner_bound" not in answer.json()
    assert not simulator.sent


async def test_a_stranger_does_not_become_the_owner(simulator: TelegramSimulator, owner_bound: None, db: Database):
    for text in ("/bind", "/bind 1234-5678-9ABC", "/start"):
        delivery = await _write(simulator, EVE, text)
        assert delivery.status == 200 and "owner_bound" not in delivery.body
    assert (await _write(simulator, EVE, "/bind", chat={"id": -5, "type": "group"})).status == 200
    bound = await telegram.fetch_owner_binding(db, Settings())
    assert bound is not None and bound.user_id == OWNER
    assert [m.chat_id for m in simulator.sent] == [OWNER, EVE, EVE, EVE]


async def test_an_update_sent_many_times_is_handled_once(simulator: TelegramSimulator, db: Database):
    code, _ = await telegram.create_bind_code(db, Settings(telegram_bot_token="1:x"), system_actor())  # type: ignore[arg-type]
    updates = [simulator.update(OWNER + n, f"/bind {code}") for n in range(4)] * 2
    done = await asyncio.gather(*(asyncio.to_thread(simulator.deliver, update) for update in updates))
    assert sum(d.body.get("owner_bound", False) for d in done) == 1
    assert len(simulator.sent) == 4


async def test_a_user_signs_up_on_the_login_page(
    anyone: httpx2.AsyncClient, simulator: TelegramSimulator, owner_bound: None
):
    page = (await anyone.get("/login", headers=HTML)).text
    assert 'action="/auth/signup/start"' in page and "Accounts cannot be created yet" not in page
    refused = await anyone.post("/auth/signup/start", data={"username": "amina", "password": "x"})
    assert refused.status_code == 400 and 'role="alert"' in refused.text and 'value="amina"' in refused.text
    sent = await anyone.post("/auth/signup/start", data=ACCOUNT)
    assert sent.status_code == 303 and sent.headers["location"].startswith("/login?signup=")
    form = (await anyone.get(sent.headers["location"], headers=HTML)).text
    hidden = re.search(r'name="signup_request_id" value="([^"]+)"', form)
    assert hidden and 'autocomplete="one-time-code"' in form and 'action="/login"' not in form
    wrong = await anyone.post("/auth/signup/confirm", data={"signup_request_id": hidden[1], "pin": "no"})
    assert wrong.status_code == 401 and "attempts left: 7" in wrong.text and hidden[1] in wrong.text
    fields = {"signup_request_id": hidden[1], "pin": _pin(simulator)}
    done = await anyone.post("/auth/signup/confirm", data=fields)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert (await anyone.get("/auth/me")).json()["username"] == "amina"
    again = await anyone.post("/auth/signup/confirm", data=fields)
    assert again.status_code == 400 and "Start again" in again.text and 'action="/login"' in again.text


async def test_the_login_page_says_why_signup_is_disabled(anyone: httpx2.AsyncClient, simulator: TelegramSimulator):
    page = (await anyone.get("/login", headers=HTML)).text
    assert "Accounts cannot be created yet" in page and "/bind" in page and 'action="/auth/signup/start"' not in page
    for nonsense in ('"><script>x', "x" * 300):
        page = (await anyone.get("/login", params={"signup": nonsense}, headers=HTML)).text
        assert "<script>x" not in page


async def test_the_owner_binds_and_unbinds_on_the_settings_page(cast: Cast, simulator: TelegramSimulator):
    owner = cast.owner
    form = {"csrf_token": owner.csrf}
    assert "Create bind code" in (await owner.client.get("/settings", headers=HTML)).text
    page = (await owner.client.post("/settings/telegram/bind-code", data=form)).text
    code = re.search(r"/bind ([0-9A-Z-]{14})<", page)
    assert code and code[1] not in (await owner.client.get("/settings", headers=HTML)).text
    assert (await _write(simulator, OWNER, f"/bind {code[1]}")).body["owner_bound"]
    assert f"Telegram id {OWNER}" in (await owner.client.get("/settings", headers=HTML)).text
    for path in ("/settings/telegram/bind-code", "/settings/telegram/unbind"):
        refused = await cast.member.client.post(path, data={"csrf_token": cast.member.csrf})
        assert refused.status_code == 403
    assert "Telegram" not in (await cast.member.client.get("/settings", headers=HTML)).text
    assert (await owner.client.post("/settings/telegram/unbind", data=form)).status_code == 303
    assert (await owner.client.get("/auth/signup/status")).json()["missing"] == ["telegram_owner_not_bound"]
