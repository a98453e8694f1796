"""Hostile answers of Telegram and mail relays: whatever one call returns, the run goes on and stores an outcome."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proofdesk.accounts.bot import Bot
from proofdesk.core import mail_relay
from proofdesk.outbound import messages
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import Channel, ChannelMessage, SendFailed
from proofdesk.outbound.channels.telegram.channel import TelegramChannel
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.delivery.outcomes import format_reason
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk_simulators.serving import running
from tests.support.emails import SENDER, Links
from tests.support.emails import message as email
from tests.support.outbound_desk import OutboundDesk

FIRST_HOSTILE_CHAT = 1000
GOOD_ANSWER = b'{"ok":true,"result":{"message_id":7}}'
LONGEST_WAIT = timedelta(hours=30)

JSON_VALUES = [
    b"null", b"true", b"-1", b"0", b"1.5", b"9223372036854775808", b"1" + b"0" * 400, b"1" + b"0" * 5000, b"1e999",
    b"-1e999", b"NaN", b'""', b'"x"', b'"\\u0000"', b'"\\ud800"', b'"\\ud83d\\ude00"', b'"' + b"x" * 1_000_000 + b'"',
    b"[]", b"{}", b"[" + b"1," * 50_000 + b"1]", b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
]  # fmt: skip
JSON_FIELDS = [
    (200, b"%s"),
    (200, b'{"ok":%s}'),
    (200, b'{"ok":true,"result":%s}'),
    (200, b'{"ok":true,"result":{"message_id":%s}}'),
    (400, b'{"ok":false,"description":%s}'),
    (400, b'{"ok":false,"description":"moved","parameters":%s}'),
    (400, b'{"ok":false,"description":"moved","parameters":{"migrate_to_chat_id":%s}}'),
    (429, b'{"ok":false,"description":"slow","parameters":{"retry_after":%s}}'),
    (500, b'{"ok":false,"description":%s}'),
]
BODIES = [b"", b"\xff\xfe\x00", b"\xef\xbb\xbf{}", b"<html>", b"{" * 10, "{é}".encode("latin-1"), b"\x1f\x8b broken"]
STATUSES = [201, 204, 301, 302, 400, 401, 403, 404, 418, 429, 451, 500, 502, 599]
HEADERS = [{}, {"content-encoding": "gzip"}, {"content-type": "text/html; charset=utf-16"}, {"location": "http://[::1"}]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer of a Bot API."""

    status: int = 200
    body: bytes = GOOD_ANSWER
    headers: dict[str, str] = field(default_factory=dict)


def telegram_answers() -> Iterator[Answer]:
    """Yield every hostile answer, one field at a time."""
    for status, template in JSON_FIELDS:
        for value in JSON_VALUES:
            yield Answer(status, template.replace(b"%s", value))
    for body in BODIES:
        for headers in HEADERS:
            yield Answer(200, body, headers)
    for status in STATUSES:
        yield Answer(status, b"" if status == 204 else b"[]")


@pytest.fixture
async def bot() -> AsyncIterator[Bot]:
    """A bot whose API gives each hostile answer to the chat of its number, and accepts messages to other chats."""
    answers = dict(enumerate(telegram_answers(), FIRST_HOSTILE_CHAT))

    async def respond(request: Request) -> Response:
        answer = answers.get((await request.json())["chat_id"], Answer())
        return Response(answer.body, answer.status, {"content-type": "application/json"} | answer.headers)

    with running(Starlette(routes=[Route("/{path:path}", respond, methods=["POST"])])) as url:
        bot = Bot(url, "1:token", timeout=20)
        yield bot
        await bot.aclose()


async def test_hostile_telegram_answers_stop_neither_run_nor_others(desk: OutboundDesk, bot: Bot):
    answers = dict(enumerate(telegram_answers(), FIRST_HOSTILE_CHAT))
    # An answer with 429 delays all messages of the channel, as it should; the next test reads these.
    hostile = {chat: f"{a.status} {a.body[:80]!r}" for chat, a in answers.items() if a.status != 429}
    good = range(1, 20)
    await _deliver(desk, TelegramChannel(bot, NoMoves()), [str(chat) for chat in (*good, *hostile)])
    for chat, message in (await _read_all(desk)).items():
        _check_settled(message, hostile.get(int(chat), "good"))
        assert int(chat) in hostile or message.status == "sent"


async def test_hostile_waits_of_telegram_are_limited(bot: Bot):
    for chat, answer in enumerate(telegram_answers(), FIRST_HOSTILE_CHAT):
        if answer.status == 429:
            message = ChannelMessage(uuid4(), uuid4(), str(chat), {"text": "Hello"})
            with pytest.raises(SendFailed) as failed:
                await TelegramChannel(bot, NoMoves()).send(message)
            assert failed.value.channel_wide
            assert 0 <= (failed.value.retry_after or 0) <= 24 * 3600, answer.body[:80]
            _check_storable(failed.value)


class NoMoves:
    """Chats that never move."""

    async def get_chat_id(self, project_id: UUID, chat_id: int) -> int:
        """Return the id."""
        return chat_id

    async def record_move(self, project_id: UUID, chat_id: int, new_chat_id: int) -> None:
        """Accept ids that a database can store."""
        assert abs(new_chat_id) < 2**63


REPLIES = [
    b"", b"\r\n", b"\xff\xfe\r\n", b"2 5 0 x\r\n", b"-12 x\r\n", b"000 x\r\n", b"199 x\r\n", b"999 x\r\n", b"25\r\n",
    b"550 5.1.1 \x00\xff\xc3(\x1b[31m\r\n", b"550 5.999999999999.1 x\r\n", b"450 4.2.2 \xe9\r\n",
    b"554 \xf0\x9f\x98\r\n",
    b"550 " + b"x" * 100_000 + b"\r\n", b"550-" + b"x" * 100 + b"\r\n550 5.1.1 end\r\n", b"550-a\r\n551 b\r\n",
    b"250-a\r\n" * 2_000 + b"250 ok\r\n", b"550-never ends\r\n", "550 5.1.1 \u2028\u202e\r\n".encode(),
    b"552 5.2.2\r\n", b"421\r\n", b"334 !!not base64\r\n",
]  # fmt: skip


@dataclass
class FakeRelay:
    """A mail relay that gives hostile replies at one step: reply N to `hostile-N@example.com`, or one to everybody."""

    step: str = ""
    reply: bytes | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hostile = self.reply
        writer.write(self._choose("CONNECT", b"220 ready\r\n", hostile))
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"RCPT" and (number := re.search(rb"hostile-(\d+)@", line)):
                hostile = REPLIES[int(number[1])]
            usual = {b"EHLO": b"250 hello\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
            answer = self._choose(verb.decode("ascii", "replace"), usual.get(verb, b"250 ok\r\n"), hostile)
            writer.write(answer)
            if verb == b"DATA" and answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(self._choose("TEXT", b"250 queued\r\n", hostile))
                hostile = self.reply
            await writer.drain()

    def _choose(self, step: str, usual: bytes, hostile: bytes | None) -> bytes:
        return usual if hostile is None or step != self.step else hostile


@pytest.fixture
async def relay() -> AsyncIterator[tuple[FakeRelay, str]]:
    """A relay, and its SMTP_URL."""
    fake = FakeRelay()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    async with server:
        yield fake, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}?tls=none"


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL"])
async def test_hostile_replies_before_the_recipient_are_reported(relay: tuple[FakeRelay, str], step: str):
    fake, url = relay
    fake.step = step
    for fake.reply in REPLIES:
        channel = EmailChannel(mail_relay.parse(url), SENDER, Links(), timeout=0.2)
        try:  # the client may accept the reply
            await (channel.send(email("ada@example.com")) if step == "MAIL" else channel.check_connection())
        except SendFailed as error:
            _check_storable(error)
        await channel.aclose()


@pytest.mark.parametrize("step", ["RCPT", "DATA", "TEXT"])
async def test_hostile_smtp_replies_stop_neither_run_nor_others(
    desk: OutboundDesk, relay: tuple[FakeRelay, str], step: str
):
    fake, url = relay
    fake.step = step
    good = [f"good-{number}@example.com" for number in range(5)]
    hostile = [f"hostile-{number}@example.com" for number in range(len(REPLIES))]
    channel = EmailChannel(mail_relay.parse(url), SENDER, Links(), timeout=0.3)
    await _deliver(desk, channel, [*good, *hostile])
    await channel.aclose()
    for recipient, message in (await _read_all(desk)).items():
        _check_settled(message, f"{step} {recipient}")
        assert recipient in hostile or message.status in ("sent", "approved")


async def _deliver(desk: OutboundDesk, channel: Channel, recipients: list[str]) -> None:
    """Send a message to each recipient in one run."""
    for recipient in recipients:
        await desk.approve_new(recipient, channel=channel.name, payload={"text": "Hello"})
    options = DeliveryOptions(8, 60)
    totals = await delivery.process_due(desk.db, desk.scope, {channel.name: channel}, options, len(recipients))
    assert totals.processed  # a condition of the relay may delay the rest, with the reason


async def _read_all(desk: OutboundDesk) -> dict[str, OutboundMessage]:
    page, _ = await messages.list_messages(desk.db, desk.scope, messages.build_filter(), 500, 0)
    return {message.recipient_ref: message for message in page}


def _check_settled(message: OutboundMessage, label: str) -> None:
    assert message.status in ("sent", "failed", "approved"), label
    assert message.status in ("sent", "approved") or message.last_error, label
    if message.next_attempt_at is not None:
        assert message.next_attempt_at < datetime.now(UTC) + LONGEST_WAIT, label


def _check_storable(error: SendFailed) -> None:
    reason = format_reason(error.message)
    assert "\0" not in reason and reason.encode("utf-8") and len(reason) <= 500
