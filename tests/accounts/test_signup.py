"""Signup by PIN: the PIN goes to the owner, cannot be guessed, and works once."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.accounts import accounts, pins, quotas, sessions, signup, signup_queries, telegram
from proofdesk.accounts.accounts import UsernameTaken
from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk.accounts.sessions import LoginAttempt, NewSession
from proofdesk.accounts.signup import (  # fmt: skip
    InvalidPin,
    OwnerNotBound,
    PinAttemptsExceeded,
    PinExpired,
    SignupApplication,
    SignupConfirmation,
    SignupRateLimited,
    SignupRequestInvalid,
    StartedSignup,
)
from proofdesk.accounts.telegram import TelegramNotConfigured
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid, ProofdeskError
from proofdesk.settings import Settings
from proofdesk_simulators.telegram import TelegramSimulator

OWNER = 4711
PASSWORD = "a long enough password"
SETTINGS = Settings(telegram_bot_token=SecretStr("7000000001:token"), signup_pin_secret=SecretStr("pepper"))


class Desk:
    """Signup with a bound owner."""

    def __init__(self, db: Database, bot: Bot, simulator: TelegramSimulator):
        self.db, self.bot, self.simulator, self.settings = db, bot, simulator, SETTINGS

    async def start(self, username: str = "amina", address: str = "192.0.2.1") -> tuple[StartedSignup, str]:
        started = await signup.start(self.db, self.settings, self.bot, SignupApplication(username, PASSWORD, address))
        return started, self.pin()

    def pin(self) -> str:
        found = re.search(r"\b\d{6}\b", self.simulator.sent[-1].text)
        assert found
        return found[0]

    async def confirm(self, request_id: object, pin: str, address: str = "192.0.2.1") -> NewSession:
        return await signup.confirm(self.db, self.settings, SignupConfirmation(str(request_id), pin, address))

    async def outcome(self, request_id: object, pin: str, address: str = "192.0.2.1") -> str:
        try:
            await self.confirm(request_id, pin, address)
        except ProofdeskError as error:
            return error.code
        return "in"

    async def usernames(self) -> list[str]:
        return [account.username for account in await accounts.list_accounts(self.db)]


@pytest.fixture
async def desk(db: Database, telegram_server: tuple[TelegramSimulator, str]) -> AsyncIterator[Desk]:
    simulator, url = telegram_server
    simulator.reset()
    simulator.person(OWNER)
    bot = Bot(url, simulator.token)
    async with db.transaction() as conn:
        await signup_queries.bind(conn, OWNER, OWNER, "Ada")
    yield Desk(db, bot, simulator)
    await bot.aclose()


def _wrong(pin: str, number: int = 1) -> str:
    return f"{(int(pin) + number) % 1_000_000:06}"


async def test_pin_is_sent_to_the_owner_and_creates_an_account(desk: Desk):
    started, pin = await desk.start("Amina", "192.0.2.77")
    message = desk.simulator.sent[-1]
    assert message.chat_id == OWNER and "amina" in message.text and "192.0.2.77" in message.text
    opened = await desk.confirm(started.signup_request_id, f" {pin} ")
    assert opened.username == "amina"
    assert await sessions.load_session(desk.db, opened.token)
    assert await sessions.sign_in(desk.db, desk.settings, LoginAttempt("amina", PASSWORD, "192.0.2.1"))


async def test_pin_works_once(desk: Desk):
    started, pin = await desk.start()
    await desk.confirm(started.signup_request_id, pin)
    with pytest.raises(SignupRequestInvalid):
        await desk.confirm(started.signup_request_id, pin)


async def test_simultaneous_confirmations_create_one_account(desk: Desk):
    started, pin = await desk.start()
    outcomes = await asyncio.gather(*(desk.outcome(started.signup_request_id, pin) for _ in range(6)))
    assert Counter(outcomes)["in"] == 1 and set(outcomes) <= {"in", "signup_request_invalid"}
    assert await desk.usernames() == ["amina"]


async def test_two_requests_for_one_username_create_one_account(desk: Desk):
    (first, pin), (second, other) = await desk.start(), await desk.start()
    outcomes = await asyncio.gather(
        desk.outcome(first.signup_request_id, pin), desk.outcome(second.signup_request_id, other)
    )
    assert sorted(outcomes) == ["in", "username_taken"]


async def test_simultaneous_guesses_never_exceed_the_limit(desk: Desk, owner_conn: psycopg.Connection):
    started, pin = await desk.start()
    guesses = [desk.outcome(started.signup_request_id, _wrong(pin, n), f"192.0.2.{n}") for n in range(1, 31)]
    outcomes = Counter(await asyncio.gather(*guesses))
    most = desk.settings.signup_pin_max_attempts
    assert outcomes == {"invalid_pin": most, "pin_attempts_exceeded": 30 - most}
    with pytest.raises(PinAttemptsExceeded):
        await desk.confirm(started.signup_request_id, pin)
    assert await desk.usernames() == []
    assert owner_conn.execute("SELECT attempts FROM signup_requests").fetchone() == (most,)


async def test_restarts_give_no_unlimited_attempts(desk: Desk):
    tried, address = 0, "192.0.2.9"
    for number in range(quotas.STARTS_OF_ADDRESS.max_hits):
        started, pin = await desk.start(f"guess{number}", address)
        for n in range(1, desk.settings.signup_pin_max_attempts + 1):
            tried += await desk.outcome(started.signup_request_id, _wrong(pin, n), address) == "invalid_pin"
    assert tried == quotas.PINS_OF_ADDRESS.max_hits
    with pytest.raises(SignupRateLimited) as limited:
        await desk.start("another", address)
    assert limited.value.status == 429 and 0 < (limited.value.retry_after or 0) <= 15 * 60


async def test_signups_of_all_addresses_are_limited(desk: Desk):
    most = quotas.STARTS.max_hits

    async def outcome(number: int) -> str:
        wish = SignupApplication(f"guest{number}", "short", f"198.51.{number}.1")
        try:
            await signup.start(desk.db, desk.settings, desk.bot, wish)
        except ProofdeskError as error:
            return error.code
        return "in"

    assert await outcome(1) == "invalid_password"  # what is refused unseen does not count
    async with desk.db.transaction() as conn:
        for _ in range(most - 1):
            await quotas.count_hits_in(conn, (quotas.STARTS, quotas.EVERYONE))
    await desk.start("lastone", "198.51.100.1")
    with pytest.raises(SignupRateLimited):
        await desk.start("toomany", "203.0.113.5")


async def test_addresses_of_one_ipv6_network_count_as_one(desk: Desk):
    for number in range(quotas.PINS_OF_ADDRESS.max_hits):
        assert await desk.outcome(uuid4(), "000000", f"2001:db8::{number + 1:x}") == "signup_request_invalid"
    assert await desk.outcome(uuid4(), "000000", "2001:db8::ffff") == "pin_attempts_exceeded"
    assert await desk.outcome(uuid4(), "000000", "2001:db8:1::1") == "signup_request_invalid"


async def test_pin_expires(desk: Desk, owner_conn: psycopg.Connection):
    started, pin = await desk.start()
    owner_conn.execute("UPDATE signup_requests SET expires_at = now()")
    with pytest.raises(PinExpired):
        await desk.confirm(started.signup_request_id, pin)
    assert await desk.usernames() == []


async def test_expired_requests_are_deleted(desk: Desk, owner_conn: psycopg.Connection):
    await desk.start("early")
    owner_conn.execute("UPDATE signup_requests SET expires_at = now() - interval '61 minutes'")
    await desk.start("later")
    assert owner_conn.execute("SELECT username FROM signup_requests").fetchall() == [("later",)]


async def test_stored_data_reveals_no_pin_and_no_password(desk: Desk, owner_conn: psycopg.Connection):
    _, pin = await desk.start()
    row = owner_conn.execute("SELECT s::text || a::text FROM signup_requests s, audit_events a").fetchone()
    assert row is not None and PASSWORD not in row[0] and "$argon2id$" in row[0]
    words = re.sub(r"[0-9a-f-]{36}|\\x[0-9a-f]+|\.\d+|\$argon2id\S+", "", row[0])
    assert pin not in words


def test_pin_hash_uses_a_key_outside_the_database():
    request_id = uuid4()
    keys = (
        SETTINGS,
        SETTINGS.model_copy(update={"signup_pin_secret": SecretStr("salt")}),
        Settings(telegram_bot_token=SecretStr("1:a")),
        Settings(telegram_bot_token=SecretStr("1:b")),
    )
    assert len({pins.pin_hash(settings, request_id, "123456") for settings in keys}) == 4
    assert pins.pin_hash(SETTINGS, uuid4(), "123456") != pins.pin_hash(SETTINGS, request_id, "123456")


@pytest.mark.parametrize("username", ["Boss", "boss", "BOSS"])
async def test_username_of_the_owner_is_reserved(desk: Desk, username: str):
    await accounts.ensure_owner(desk.db, Settings(auth_username="Boss", auth_password=SecretStr(PASSWORD)))
    with pytest.raises(UsernameTaken):
        await desk.start(username)
    desk.settings = SETTINGS.model_copy(update={"auth_username": "Chief"})
    with pytest.raises(UsernameTaken):
        await desk.start("chief")
    assert not desk.simulator.sent


async def test_username_taken_meanwhile_is_refused(desk: Desk):
    started, pin = await desk.start()
    await accounts.create(desk.db, "amina", "another long one")
    assert await desk.outcome(started.signup_request_id, pin) == "username_taken"
    assert await desk.outcome(started.signup_request_id, pin) == "signup_request_invalid"
    with pytest.raises(UsernameTaken):
        await desk.start("amina")


@pytest.mark.parametrize(
    ("username", "password", "code"),
    [("ab", PASSWORD, "invalid_username"), ("a b c", PASSWORD, "invalid_username"), ("amina", "x", "invalid_password")],
)
async def test_invalid_usernames_and_passwords_are_refused(desk: Desk, username: str, password: str, code: str):
    with pytest.raises(Invalid) as refused:
        await signup.start(desk.db, desk.settings, desk.bot, SignupApplication(username, password, "192.0.2.1"))
    assert refused.value.code == code and not desk.simulator.sent


@pytest.mark.parametrize("kind", ["blocked", "chat_not_found", "unauthorized", "server_error", "cut", "page"])
async def test_unsent_pin_is_void(desk: Desk, owner_conn: psycopg.Connection, kind: str):
    desk.simulator.fail(kind)
    with pytest.raises(TelegramError) as failed:
        await desk.start()
    assert failed.value.code == "telegram_send_failed" and desk.simulator.token not in failed.value.message
    assert owner_conn.execute("SELECT count(*) FROM signup_requests").fetchone() == (0,)


async def test_no_connection_is_held_during_a_telegram_call(desk: Desk):
    fault = desk.simulator.fail("delay", delay=60.0)
    starting = [asyncio.create_task(desk.start(f"guest{n}", f"192.0.2.{n}")) for n in range(9)]
    try:
        async with asyncio.timeout(30):
            while fault.struck < 9:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert (await signup.status(desk.db, desk.settings)).enabled
        assert not any(task.done() for task in starting), "all nine wait, and the pool has eight"
    finally:
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)


async def test_changed_binding_voids_open_pins(desk: Desk):
    started, pin = await desk.start()
    async with desk.db.transaction() as conn:
        await signup_queries.replace_code(conn, telegram._hash("AAAA-BBBB-CCCC"), 15)
    moved = telegram.TelegramUpdate(1, desk.simulator.update(OWNER + 1, "/bind aaaabbbbcccc")["message"], proven=True)
    assert await telegram.handle_update(desk.db, desk.settings, desk.bot, moved)
    assert await desk.outcome(started.signup_request_id, pin) == "signup_request_invalid"
    started, pin = await desk.start()
    await telegram.unbind(desk.db, system_actor())
    assert await desk.outcome(started.signup_request_id, pin) == "signup_request_invalid"


async def test_missing_parts_of_signup_are_named(desk: Desk):
    async def problem(settings: Settings, bot: Bot | None, error: type[ProofdeskError] | None) -> tuple[Any, ...]:
        if error is not None:
            with pytest.raises(error):
                await signup.start(desk.db, settings, bot, SignupApplication("amina", PASSWORD, "192.0.2.1"))
        found = await signup.status(desk.db, settings)
        return found.enabled, found.has_telegram_token, found.owner_bound, found.missing

    assert await problem(SETTINGS, desk.bot, None) == (True, True, True, [])
    elsewhere = SETTINGS.model_copy(update={"telegram_owner_id": OWNER + 1})
    assert await problem(elsewhere, desk.bot, OwnerNotBound) == (False, True, False, ["telegram_owner_not_bound"])
    assert await problem(Settings(), None, TelegramNotConfigured) == (False, False, True, ["telegram_not_configured"])
    await telegram.unbind(desk.db, system_actor())
    both = ["telegram_not_configured", "telegram_owner_not_bound"]
    assert await problem(Settings(), None, TelegramNotConfigured) == (False, False, False, both)


async def test_every_step_is_audited(desk: Desk, owner_conn: psycopg.Connection):
    started, pin = await desk.start()
    with pytest.raises(InvalidPin):
        await desk.confirm(started.signup_request_id, _wrong(pin))
    await desk.confirm(started.signup_request_id, pin)
    with pytest.raises(UsernameTaken):
        await desk.start()
    rows = owner_conn.execute("SELECT action, status, actor_username, payload->>'reason' FROM audit_events ORDER BY id")
    assert rows.fetchall() == [
        ("auth.signup_start", "ok", "nobody", None),
        ("auth.signup_failed", "failed", "nobody", "invalid_pin"),
        ("auth.signup_confirm", "ok", "amina", None),
        ("auth.signup_failed", "failed", "nobody", "username_taken"),
    ]
