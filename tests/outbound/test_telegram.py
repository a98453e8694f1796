"""Messages of the bot, sent to the simulated Bot API."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import pytest

from proofdesk.accounts.bot import Bot
from proofdesk.database.pool import Database
from proofdesk.outbound import policies
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidPayload,
    InvalidRecipient,
    LookupUnsupported,
    SendFailed,
)
from proofdesk.outbound.channels.telegram.channel import TelegramChannel
from proofdesk.outbound.channels.telegram.moves import StoredChatMoves
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate
from proofdesk.projects.scope import Scope
from proofdesk_simulators.telegram import TelegramSimulator

ADA = 4711
GROUP, MOVED_GROUP = -42, -1001557912345


@pytest.fixture
def simulator(telegram_server: tuple[TelegramSimulator, str]) -> Iterator[TelegramSimulator]:
    telegram_server[0].reset()
    yield telegram_server[0]
    telegram_server[0].reset()


@pytest.fixture
async def bot(simulator: TelegramSimulator, telegram_server: tuple[TelegramSimulator, str]) -> AsyncIterator[Bot]:
    new_bot = Bot(telegram_server[1], simulator.token, timeout=20)
    yield new_bot
    await new_bot.aclose()


class ChatMovesInMemory:
    """Chat moves as the application stores them, without its database."""

    def __init__(self) -> None:
        self.moves: dict[int, int] = {}

    async def get_chat_id(self, project_id: UUID, chat_id: int) -> int:
        """Return the present id of a chat."""
        return self.moves.get(chat_id, chat_id)

    async def record_move(self, project_id: UUID, chat_id: int, new_chat_id: int) -> None:
        """Store the new id."""
        self.moves[chat_id] = new_chat_id


def message(text: str = "Hello", to: str = str(ADA)) -> ChannelMessage:
    """Return a validated message."""
    recipient, payload = TelegramChannel.check(to, {"text": text})
    return ChannelMessage(uuid4(), uuid4(), recipient, payload)


async def test_message_reaches_a_chat_with_the_bot(bot: Bot, simulator: TelegramSimulator):
    simulator.person(ADA)
    receipt = await TelegramChannel(bot, ChatMovesInMemory()).send(message("Привет {{name}} <b>"))
    assert [(m.chat_id, m.text) for m in simulator.sent] == [(ADA, "Привет {{name}} <b>")]
    assert receipt.provider_message_id == str(simulator.sent[0].message_id)
    with pytest.raises(LookupUnsupported):
        await TelegramChannel(bot, ChatMovesInMemory()).find(message())


async def test_blocked_bot_is_a_permanent_failure(bot: Bot, simulator: TelegramSimulator):
    with pytest.raises(SendFailed, match="chat not found") as failed:
        await TelegramChannel(bot, ChatMovesInMemory()).send(message())
    assert failed.value.permanent
    simulator.person(ADA).blocks = True
    with pytest.raises(SendFailed, match="blocked by the user") as failed:
        await TelegramChannel(bot, ChatMovesInMemory()).send(message())
    assert failed.value.permanent and not failed.value.delivery_unknown


async def test_retry_after_of_telegram_is_returned(bot: Bot, simulator: TelegramSimulator):
    simulator.person(ADA)
    simulator.fail("too_many_requests", times=1)
    with pytest.raises(SendFailed) as failed:
        await TelegramChannel(bot, ChatMovesInMemory()).send(message())
    assert (failed.value.retry_after, failed.value.permanent, failed.value.delivery_unknown) == (5, False, False)


@pytest.mark.parametrize(("kind", "arrived"), [("cut", 0), ("lost_reply", 1), ("server_error", 0), ("page", 0)])
async def test_delivery_is_unknown_without_an_answer_of_telegram(
    bot: Bot, simulator: TelegramSimulator, kind: str, arrived: int
):
    simulator.person(ADA)
    simulator.fail(kind, times=1)
    with pytest.raises(SendFailed) as failed:
        await TelegramChannel(bot, ChatMovesInMemory()).send(message())
    assert failed.value.delivery_unknown and not failed.value.permanent
    assert len(simulator.sent) == arrived


async def _wait_for_calls(simulator: TelegramSimulator, number: int) -> None:
    for _ in range(400):
        if len(simulator.calls) >= number:
            return
        await asyncio.sleep(0.05)


async def test_silence_leaves_delivery_unknown(
    simulator: TelegramSimulator, telegram_server: tuple[TelegramSimulator, str]
):
    impatient = Bot(telegram_server[1], simulator.token, timeout=0.2)
    simulator.person(ADA)
    simulator.fail("delay", delay=1, times=1)
    with pytest.raises(SendFailed) as failed:
        await TelegramChannel(impatient, ChatMovesInMemory()).send(message())
    assert failed.value.delivery_unknown
    await impatient.aclose()
    await _wait_for_calls(simulator, 1)  # so that this call does not end during the next test


async def test_refused_connection_is_certainly_not_delivered(simulator: TelegramSimulator):
    nowhere = Bot("http://127.0.0.1:1", simulator.token)
    with pytest.raises(SendFailed) as failed:
        await TelegramChannel(nowhere, ChatMovesInMemory()).send(message())
    assert not failed.value.delivery_unknown and not failed.value.permanent
    assert simulator.token not in failed.value.message
    await nowhere.aclose()


async def test_wrong_token_costs_no_retry(telegram_server: tuple[TelegramSimulator, str]):
    wrong = Bot(telegram_server[1], "123456:WRONG-token")
    with pytest.raises(SendFailed, match="TELEGRAM_BOT_TOKEN") as failed:
        await TelegramChannel(wrong, ChatMovesInMemory()).send(message())
    assert not failed.value.permanent and not failed.value.delivery_unknown
    await wrong.aclose()


@pytest.mark.fidelity(
    "Telegram",
    "A group that becomes a supergroup answers 400 with `migrate_to_chat_id`.",
    "TwiN/gatus issue 179",
)
async def test_moved_group_receives_messages_under_its_new_id(
    bot: Bot, simulator: TelegramSimulator, db: Database, project: Scope
):
    simulator.upgrade(GROUP, MOVED_GROUP)
    for text in ("One", "Two"):
        recipient, payload = TelegramChannel.check(str(GROUP), {"text": text})
        message = ChannelMessage(uuid4(), project.project_id, recipient, payload)
        await TelegramChannel(bot, StoredChatMoves(db)).send(message)
    assert [(m.chat_id, m.text) for m in simulator.sent] == [(MOVED_GROUP, "One"), (MOVED_GROUP, "Two")]
    assert len(simulator.calls) == 3, "the second message goes to the new id at once"


@pytest.mark.parametrize(("opted_out", "new_id_has_a_policy"), [(GROUP, False), (GROUP, True), (MOVED_GROUP, True)])
async def test_opt_out_of_a_moved_group_holds_for_both_ids(
    db: Database, project: Scope, opted_out: int, new_id_has_a_policy: bool
):
    async with db.scoped(project) as conn:
        ids = [GROUP, MOVED_GROUP] if new_id_has_a_policy else [GROUP]
        await policies.ensure_policies(conn, project, [("telegram", str(chat_id)) for chat_id in ids])
    await policies.change_policy(db, project, str(opted_out), "telegram", PolicyUpdate(opted_out=True))
    await StoredChatMoves(db).record_move(project.project_id, GROUP, MOVED_GROUP)
    for chat_id in (GROUP, MOVED_GROUP):
        policy_filter = PolicyFilter(str(chat_id), "telegram", opted_out=True)
        assert (await policies.list_policies(db, project, policy_filter, 5, 0))[1] == 1


async def test_move_to_an_invalid_id_is_refused(simulator: TelegramSimulator, bot: Bot):
    simulator.upgrade(GROUP, -(10**30))
    recipient, payload = TelegramChannel.check(str(GROUP), {"text": "Hello"})
    with pytest.raises(SendFailed, match="upgraded"):
        await TelegramChannel(bot, ChatMovesInMemory()).send(ChannelMessage(uuid4(), uuid4(), recipient, payload))


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("blocked", "only they can unblock it"), ("never_started", "open a chat with the bot"), ("kicked", "add it again"),
     ("deactivated", "account was deleted"), ("chat_not_found", "open a chat with the bot")],
)  # fmt: skip
@pytest.mark.fidelity(
    "Telegram",
    "403 and 400 have different causes for the person.",
    "tdlib/telegram-bot-api",
)
async def test_permanent_refusal_says_what_to_do(bot: Bot, simulator: TelegramSimulator, kind: str, hint: str):
    simulator.person(ADA)
    simulator.fail(kind, times=1)
    with pytest.raises(SendFailed, match=hint) as failed:
        await TelegramChannel(bot, ChatMovesInMemory()).send(message())
    assert failed.value.permanent and not failed.value.channel_wide
    assert "/bind" not in failed.value.message


@pytest.mark.fidelity(
    "Telegram",
    "429 names `retry_after` for the whole bot.",
    "tdlib/telegram-bot-api",
)
async def test_limit_of_the_bot_delays_all_its_messages(bot: Bot, simulator: TelegramSimulator):
    simulator.person(ADA)
    simulator.fail("too_many_requests", times=1)
    channel = TelegramChannel(bot, ChatMovesInMemory())
    for _ in range(2):
        with pytest.raises(SendFailed, match="429") as failed:
            await channel.send(message())
        assert failed.value.channel_wide and failed.value.retry_after == pytest.approx(5, abs=1)
    assert len(simulator.calls) == 1
    assert channel.pause is not None and channel.pause.all_workers


@pytest.mark.fidelity(
    "Telegram",
    "A text has at most 4,096 characters.",
    "counted in the stricter of two ways: sources differ between code points and UTF-16 units",
)
async def test_text_length_is_counted_in_utf16_code_units(bot: Bot, simulator: TelegramSimulator):
    simulator.person(ADA)
    await TelegramChannel(bot, ChatMovesInMemory()).send(message("😀" * 2048))
    assert simulator.sent[0].text == "😀" * 2048
    with pytest.raises(InvalidPayload, match="at most 4096 characters; it has 4098"):
        message("😀" * 2049)


@pytest.mark.parametrize("recipient", ["", "ada", "@ada", "0", "-0", "1.5", "+1", "٣٤", "1" * 17, "1 2"])
def test_recipient_must_be_a_chat_id(recipient: str):
    with pytest.raises(InvalidRecipient, match="numeric id of a chat"):
        TelegramChannel.check(recipient, {"text": "Hello"})


def test_group_ids_are_negative():
    assert TelegramChannel.check(" -1001234567890 ", {"text": "Hello", "x": 1}) == ("-1001234567890", {"text": "Hello"})


@pytest.mark.parametrize("text", ["", " ", "x" * 4097, None, 5])
def test_text_has_1_to_4096_characters(text: object):
    with pytest.raises(InvalidPayload):
        TelegramChannel.check(str(ADA), {"text": text})
