"""The bot executes commands, and binds no account but the owner's."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.accounts import commands, quotas, telegram
from proofdesk.accounts.bot import Bot, TelegramError
from proofdesk.accounts.signup_queries import TelegramBinding
from proofdesk.accounts.telegram import (
    InvalidWebhookSecret,
    OwnerSetByOperator,
    TelegramNotConfigured,
    TelegramUpdate,
    WebhookRateLimited,
)
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid
from proofdesk.settings import Settings
from proofdesk_simulators.telegram import TelegramSimulator

ADA, EVE = 4711, 6666
GROUP = {"id": -100123, "type": "group", "title": "Team"}


def _settings(**values: Any) -> Settings:
    return Settings(telegram_bot_token=SecretStr("7000000001:token"), **values)


@pytest.fixture
def simulator(telegram_server: tuple[TelegramSimulator, str]) -> TelegramSimulator:
    telegram_server[0].reset()
    return telegram_server[0]


@pytest.fixture
async def bot(telegram_server: tuple[TelegramSimulator, str]) -> AsyncIterator[Bot]:
    bot = Bot(telegram_server[1], telegram_server[0].token)
    yield bot
    await bot.aclose()


class BotConversation:
    """Sends messages of users to the bot, as the webhook does."""

    def __init__(self, db: Database, bot: Bot, simulator: TelegramSimulator, settings: Settings | None = None):
        self.db, self.bot, self.simulator, self.settings = db, bot, simulator, settings or _settings()

    async def send(self, sender: int, text: str, *, proven: bool = True, **about: Any) -> bool:
        update = self.simulator.update(sender, text, **about)
        return await self.post(update, proven=proven)

    async def post(self, update: dict[str, Any], *, proven: bool = True) -> bool:
        telegram_update = TelegramUpdate(update["update_id"], update["message"], proven)
        return await telegram.handle_update(self.db, self.settings, self.bot, telegram_update)

    async def code(self) -> str:
        return (await telegram.create_bind_code(self.db, self.settings, system_actor()))[0]

    async def bound(self) -> int | None:
        found = await telegram.fetch_owner_binding(self.db, self.settings)
        return found and found.user_id

    @property
    def replies_sent(self) -> list[tuple[int, str]]:
        return [(m.chat_id, m.text) for m in self.simulator.sent]


@pytest.fixture
def by_code(db: Database, bot: Bot, simulator: TelegramSimulator) -> BotConversation:
    return BotConversation(db, bot, simulator)


@pytest.fixture
def by_id(db: Database, bot: Bot, simulator: TelegramSimulator) -> BotConversation:
    return BotConversation(db, bot, simulator, _settings(telegram_owner_id=ADA))


def _actions(conn: psycopg.Connection) -> list[tuple[str, str]]:
    rows = conn.execute("SELECT action, coalesce(payload->>'reason', '') FROM audit_events ORDER BY id")
    return [(action, reason) for action, reason in rows if action.startswith("auth.telegram")]


@pytest.mark.parametrize(
    ("text", "command", "argument"),
    [
        ("/bind", "bind", ""),
        ("/bind@proofdesk_bot", "bind", ""),
        ("/BIND@proofdesk_bot  AB-CD ", "bind", "AB-CD"),
        ("/bind\nAB", "bind", "AB"),
        ("/bindAB", "bindab", ""),
        ("please /bind", "", ""),
        ("/", "", ""),
        ("/bind@", "", ""),
        ("", "", ""),
    ],
)
def test_commands_are_parsed(simulator: TelegramSimulator, text: str, command: str, argument: str):
    parsed = commands.parse_command(simulator.update(ADA, text or " ")["message"], proven=True)
    assert parsed is not None and (parsed.command, parsed.argument) == (command, argument)


def test_only_users_in_private_chats_are_heard(simulator: TelegramSimulator):
    message = simulator.update(ADA, "/bind")["message"]
    for kind in ("group", "supergroup", "channel", None, 1, []):
        assert commands.parse_command(message | {"chat": {"id": ADA, "type": kind}}, proven=True) is None
    assert commands.parse_command(message | {"from": message["from"] | {"is_bot": True}}, proven=True) is None
    for broken in (None, [], "x", {}, {"text": "/bind"}, message | {"text": 1}, message | {"from": None}):
        assert commands.parse_command(broken, proven=True) is None
    for number in (True, "4711", 1.5, -1, 0, 2**63, None):
        assert commands.parse_command(message | {"from": {"id": number}}, proven=True) is None


def test_every_case_of_bind_is_decided(simulator: TelegramSimulator):
    def act(sender: int, text: str, bound_to: int | None, owner_id: int | None) -> str:
        command = commands.parse_command(simulator.update(sender, text)["message"], proven=True)
        assert command is not None
        binding = None if bound_to is None else TelegramBinding(bound_to, bound_to, "x", datetime.now(UTC))
        return commands.decide(command, binding, owner_id).action

    assert act(ADA, "/bind", None, ADA) == "bind"
    assert act(ADA, "/bind", ADA, ADA) == "keep"
    assert act(ADA, "/bind", EVE, ADA) == "bind"
    assert act(EVE, "/bind", None, ADA) == "refuse"
    assert act(EVE, "/bind CODE", None, ADA) == "refuse"
    assert act(EVE, "/bind CODE", ADA, ADA) == "refuse"
    assert act(ADA, "/bind", None, None) == "answer"
    assert act(ADA, "/bind CODE", None, None) == "redeem"
    assert act(ADA, "/bind", ADA, None) == "keep"
    assert act(EVE, "/bind", ADA, None) == "refuse"
    assert act(EVE, "/bind CODE", ADA, None) == "redeem"
    assert act(EVE, "/unbind", ADA, None) == act(ADA, "hello", ADA, None) == "answer"


async def test_only_the_configured_owner_is_bound(by_id: BotConversation, owner_conn: psycopg.Connection):
    assert not await by_id.send(EVE, "/bind")
    assert await by_id.bound() is None
    assert await by_id.send(ADA, "/bind")
    assert await by_id.send(ADA, "/bind@proofdesk_bot")
    assert not await by_id.send(EVE, "/bind")
    assert await by_id.bound() == ADA
    assert [chat for chat, _ in by_id.replies_sent] == [EVE, ADA, ADA, EVE]
    refused = ("auth.telegram_bind_refused", "not_the_owner")
    assert _actions(owner_conn) == [refused, ("auth.telegram_bind", ""), refused]


async def test_bind_without_a_code_explains_how_to_get_one(by_code: BotConversation):
    assert not await by_code.send(EVE, "/bind")
    assert await by_code.bound() is None
    assert (
        "proofdesk telegram bind-code" in by_code.replies_sent[0][1] and "settings page" in by_code.replies_sent[0][1]
    )


async def test_code_binds_once_and_strangers_cannot_take_over(by_code: BotConversation, owner_conn: psycopg.Connection):
    code = await by_code.code()
    assert not await by_code.send(EVE, "/bind 0000-0000-0000")
    assert await by_code.send(ADA, f"/bind {code.lower().replace('-', ' ')}")
    for attempt in ("/bind", f"/bind {code}", "/bind@proofdesk_bot"):
        assert not await by_code.send(EVE, attempt)
    assert await by_code.bound() == ADA
    assert _actions(owner_conn)[1:] == [
        ("auth.telegram_bind_refused", "wrong_code"),
        ("auth.telegram_bind", ""),
        ("auth.telegram_bind_refused", "bound_already"),
        ("auth.telegram_bind_refused", "wrong_code"),
        ("auth.telegram_bind_refused", "bound_already"),
    ]


async def test_owner_moves_the_binding_with_a_new_code(by_code: BotConversation):
    assert await by_code.send(ADA, f"/bind {await by_code.code()}")
    assert await by_code.send(EVE, f"/bind {await by_code.code()}")
    assert await by_code.bound() == EVE


async def test_new_code_voids_the_previous_one(by_code: BotConversation):
    older, newer = await by_code.code(), await by_code.code()
    assert not await by_code.send(ADA, f"/bind {older}")
    assert await by_code.send(ADA, f"/bind {newer}")


async def test_code_is_valid_for_fifteen_minutes(by_code: BotConversation, owner_conn: psycopg.Connection):
    code = await by_code.code()
    age = "UPDATE telegram_bind_codes SET expires_at = expires_at - interval '15 minutes'"
    owner_conn.execute(age)
    assert not await by_code.send(ADA, f"/bind {code}")
    assert "expired" in by_code.replies_sent[-1][1]


async def test_code_is_stored_as_a_hash(by_code: BotConversation, owner_conn: psycopg.Connection):
    code = await by_code.code()
    stored = owner_conn.execute("SELECT t::text || a::text FROM telegram_bind_codes t, audit_events a").fetchone()
    assert stored is not None and code not in stored[0] and code.replace("-", "") not in stored[0]


async def test_simultaneous_uses_of_a_code_bind_one_account(by_code: BotConversation, owner_conn: psycopg.Connection):
    code = await by_code.code()
    done = await asyncio.gather(*(by_code.send(ADA + n, f"/bind {code}") for n in range(8)))
    assert done.count(True) == 1
    assert await by_code.bound() == ADA + done.index(True)
    assert _actions(owner_conn).count(("auth.telegram_bind", "")) == 1


async def test_repeated_update_does_nothing(by_code: BotConversation):
    code = await by_code.code()
    update = by_code.simulator.update(ADA, f"/bind {code}")
    done = await asyncio.gather(*(by_code.post(update) for _ in range(6)))
    assert done.count(True) == 1 and len(by_code.replies_sent) == 1
    await telegram.unbind(by_code.db, system_actor())
    assert not await by_code.post(update)
    assert await by_code.bound() is None and len(by_code.replies_sent) == 1


async def test_groups_and_channels_are_ignored(by_id: BotConversation):
    for kind in ("group", "supergroup", "channel"):
        assert not await by_id.send(ADA, "/bind", chat=GROUP | {"type": kind})
    assert await by_id.bound() is None and by_id.replies_sent == []


async def test_bot_replies_to_whoami_and_help(by_id: BotConversation):
    await by_id.send(ADA, "/bind")
    for sender, text in (
        (ADA, "/whoami"),
        (EVE, "/whoami@proofdesk_bot"),
        (EVE, "/start"),
        (EVE, "/help"),
        (EVE, "hm"),
    ):
        await by_id.send(sender, text)
    replies = [text for _, text in by_id.replies_sent[1:]]
    assert f"{ADA}: the owner" in replies[0] and f"{EVE}: not the owner" in replies[1]
    assert all("/bind" in text and "/whoami" in text for text in replies[2:])


async def test_name_does_not_reorder_the_reply(by_id: BotConversation):
    update = by_id.simulator.update(EVE, "/whoami")
    update["message"]["from"] |= {"first_name": "Eve\u202e", "last_name": "\u2067gpj.exe", "username": "eve"}
    await by_id.post(update)
    reply = by_id.replies_sent[0][1]
    assert reply.startswith(f"\u2068Eve gpj.exe @eve\u2069, Telegram id {EVE}: not the owner")


async def test_failed_reply_does_not_undo_the_command(by_id: BotConversation):
    by_id.simulator.fail("bad_gateway")
    assert await by_id.send(ADA, "/bind")
    assert await by_id.bound() == ADA


async def test_binding_of_another_user_is_ignored(by_code: BotConversation, by_id: BotConversation):
    assert await by_code.send(EVE, f"/bind {await by_code.code()}")
    assert await by_code.bound() == EVE and await by_id.bound() is None
    assert not await by_id.send(EVE, "/bind")
    assert await by_id.send(ADA, "/bind") and await by_id.bound() == ADA


async def test_forged_bind_cannot_divert_pins(by_id: BotConversation, owner_conn: psycopg.Connection):
    await by_id.send(ADA, "/bind", proven=False, chat={"id": EVE, "type": "private"})
    assert owner_conn.execute("SELECT user_id, chat_id FROM telegram_owner").fetchone() == (ADA, ADA)


async def test_unbinding_voids_the_code(by_code: BotConversation, owner_conn: psycopg.Connection):
    await by_code.send(ADA, f"/bind {await by_code.code()}")
    code = await by_code.code()
    assert await telegram.unbind(by_code.db, system_actor()) and not await telegram.unbind(by_code.db, system_actor())
    assert not await by_code.send(ADA, f"/bind {code}")
    assert await by_code.bound() is None
    assert _actions(owner_conn).count(("auth.telegram_unbind", "")) == 1


async def test_code_without_effect_is_not_created(db: Database):
    with pytest.raises(OwnerSetByOperator, match="TELEGRAM_OWNER_ID"):
        await telegram.create_bind_code(db, _settings(telegram_owner_id=ADA), system_actor())
    with pytest.raises(TelegramNotConfigured, match="TELEGRAM_BOT_TOKEN"):
        await telegram.create_bind_code(db, Settings(), system_actor())


async def test_sender_of_too_many_messages_gets_no_reply(by_code: BotConversation):
    for _ in range(quotas.MESSAGES_OF_SENDER.max_hits + 5):
        await by_code.send(EVE, "/bind")
    assert len(by_code.replies_sent) == quotas.MESSAGES_OF_SENDER.max_hits
    await by_code.send(ADA, "/help")
    assert by_code.replies_sent[-1][0] == ADA


async def test_only_calls_with_the_secret_are_admitted(db: Database):
    settings = _settings(telegram_webhook_secret=SecretStr("right"))
    for presented in ((None, None), ("wrong", None), (None, ""), ("righ", "right "), ("rïght", "right\0")):
        with pytest.raises(InvalidWebhookSecret):
            await telegram.admit_webhook_call(db, settings, "192.0.2.1", *presented)
    assert await telegram.admit_webhook_call(db, settings, "192.0.2.1", "right", None)
    assert await telegram.admit_webhook_call(db, settings, "192.0.2.1", None, "right")
    assert not await telegram.admit_webhook_call(db, _settings(), "192.0.2.1", "anything", None)


async def test_flood_of_wrong_calls_does_not_block_telegram(db: Database):
    settings = _settings(telegram_webhook_secret=SecretStr("right"))

    async def call(secret: str) -> str:
        try:
            await telegram.admit_webhook_call(db, settings, "192.0.2.1", secret)
        except (InvalidWebhookSecret, WebhookRateLimited) as error:
            return error.code
        return "in"

    codes = await asyncio.gather(*(call("wrong") for _ in range(quotas.OTHER_CALLS_OF_ADDRESS.max_hits + 10)))
    assert codes.count("invalid_webhook_secret") == quotas.OTHER_CALLS_OF_ADDRESS.max_hits
    assert codes.count("webhook_rate_limited") == 10
    assert await call("right") == "in"


async def test_webhook_is_registered(bot: Bot, simulator: TelegramSimulator):
    settings = _settings(telegram_webhook_secret=SecretStr("s3cret"), public_url="https://desk.example.com/")
    assert await telegram.register_webhook(settings, bot, None) == "https://desk.example.com/auth/telegram/webhook"
    hook = simulator.hook
    assert (hook.url, hook.secret_token, hook.allowed_updates) == (
        "https://desk.example.com/auth/telegram/webhook", "s3cret", ["message"],
    )  # fmt: skip
    url = "https://other.example.com/api/v1/auth/telegram/webhook"
    assert await telegram.register_webhook(settings, bot, url) == url
    with pytest.raises(Invalid, match="PUBLIC_URL"):
        await telegram.register_webhook(_settings(), bot, None)
    with pytest.raises(Invalid, match="TELEGRAM_WEBHOOK_SECRET") as refused:
        await telegram.register_webhook(_settings(telegram_webhook_secret=SecretStr("not allowed!")), bot, url)
    assert "not allowed!" not in refused.value.message
    with pytest.raises(TelegramError, match="HTTPS"):
        await telegram.register_webhook(settings, bot, "http://plain.example.com")


async def test_token_is_in_no_log_line(
    by_id: BotConversation, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.DEBUG):
        for kind in ("unauthorized", "cut", "bad_gateway"):
            by_id.simulator.fail(kind, times=1)
            await by_id.send(ADA, "/help")
    ours, _ = capsys.readouterr()
    assert ours.count("telegram answer not sent") == 3
    assert "/bot…/sendMessage" in caplog.text
    assert by_id.simulator.token not in ours + caplog.text
