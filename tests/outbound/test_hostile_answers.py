"""Hostile answers of Telegram and mail relays: whatever one call returns, the run goes on and stores an outcome."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proofdesk.accounts.bot import Bot
from proofdesk.core import mail_relay
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import Channel, SendFailed
from proofdesk.outbound.channels.telegram.channel import TelegramChannel
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk_simulators.serving import running
from tests.support.emails import SENDER, Links
from tests.support.outbound_desk import OutboundDesk

GOOD_CHAT, BAD_CHAT = 43, 42
GOOD_ADDRESS, BAD_ADDRESS = "good@example.com", "bad@example.com"
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


@dataclass
class FakeTelegram:
    """A Bot API that gives one answer to calls for `BAD_CHAT`, and accepts every other message."""

    status: int = 200
    body: bytes = GOOD_ANSWER
    headers: dict[str, str] = field(default_factory=dict)

    async def answer(self, request: Request) -> Response:
        """Answer a call of sendMessage."""
        if (await request.json())["chat_id"] != BAD_CHAT:
            return Response(GOOD_ANSWER, media_type="application/json")
        return Response(self.body, self.status, {"content-type": "application/json"} | self.headers)


def telegram_answers() -> Iterator[FakeTelegram]:
    """Yield every hostile answer, one field at a time."""
    for status, template in JSON_FIELDS:
        for value in JSON_VALUES:
            yield FakeTelegram(status, template.replace(b"%s", value))
    for body in BODIES:
        for headers in HEADERS:
            yield FakeTelegram(200, body, headers)
    for status in STATUSES:
        yield FakeTelegram(status, b"" if status == 204 else b"[]")


async def test_hostile_telegram_answers_stop_neither_run_nor_others(desk: OutboundDesk):
    fake = FakeTelegram()
    app = Starlette(routes=[Route("/{path:path}", fake.answer, methods=["POST"])])
    with running(app) as url:
        bot = Bot(url, "1:token", timeout=20)
        for hostile in telegram_answers():
            vars(fake).update(vars(hostile))
            bad, good = await _deliver(desk, TelegramChannel(bot, NoMoves()), str(BAD_CHAT), str(GOOD_CHAT))
            label = f"{hostile.status} {hostile.body[:80]!r} {hostile.headers}"
            _check_settled(bad, label)
            assert good.status == "sent" or (hostile.status == 429 and good.status == "approved"), label
        await bot.aclose()


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
    """A mail relay that gives one reply at one step, for `BAD_ADDRESS` where the step belongs to a recipient."""

    step: str = ""
    reply: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_bad = False
        writer.write(self._choose("CONNECT", b"220 ready\r\n", is_bad=True))
        while line := await reader.readline():
            verb = line[:4].upper()
            is_bad = is_bad if verb != b"RCPT" else BAD_ADDRESS.encode() in line
            answers = {b"EHLO": b"250 hello\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
            applies = is_bad or verb in (b"EHLO", b"MAIL")
            answer = self._choose(verb.decode("ascii", "replace"), answers.get(verb, b"250 ok\r\n"), applies)
            writer.write(answer)
            if verb == b"DATA" and answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(self._choose("TEXT", b"250 queued\r\n", is_bad))
            await writer.drain()

    def _choose(self, step: str, usual: bytes, is_bad: bool) -> bytes:
        return self.reply if step == self.step and is_bad else usual


@pytest.fixture
async def relay() -> AsyncIterator[tuple[FakeRelay, str]]:
    """A relay, and its SMTP_URL."""
    fake = FakeRelay()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    async with server:
        yield fake, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}?tls=none"


@pytest.mark.parametrize("step", ["CONNECT", "EHLO"])
async def test_hostile_greetings_of_a_relay_are_reported(relay: tuple[FakeRelay, str], step: str):
    fake, url = relay
    fake.step = step
    for fake.reply in REPLIES:
        with contextlib.suppress(SendFailed):  # the reply may be one that the client accepts
            await EmailChannel(mail_relay.parse(url), SENDER, Links(), timeout=0.2).check_connection()


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "TEXT"])
async def test_hostile_smtp_replies_stop_neither_run_nor_others(
    desk: OutboundDesk, relay: tuple[FakeRelay, str], step: str
):
    fake, url = relay
    for reply in REPLIES:
        fake.step, fake.reply = step, reply
        channel = EmailChannel(mail_relay.parse(url), SENDER, Links(), timeout=0.2)
        bad, good = await _deliver(desk, channel, BAD_ADDRESS, GOOD_ADDRESS)
        label = f"{step} {reply[:80]!r}"
        _check_settled(bad, label)
        assert step == "MAIL" or good.status in ("sent", "approved"), label
        fake.step = ""
        await channel.aclose()


async def _deliver(
    desk: OutboundDesk, channel: Channel, bad: str, good: str
) -> tuple[OutboundMessage, OutboundMessage]:
    """Send one message to either recipient with a new channel, and return both messages."""
    later = "next_attempt_at = next_attempt_at + interval '90 days'"
    desk.conn.execute(f"UPDATE outbound_messages SET {later} WHERE next_attempt_at IS NOT NULL".encode())
    desk.conn.execute("UPDATE contact_channel_policies SET sent_in_window = 0, window_started_at = NULL")
    payload = {"text": "Hello"}
    messages = [await desk.approve_new(to, channel=channel.name, payload=payload) for to in (bad, good)]
    totals = await delivery.process_due(desk.db, desk.scope, {channel.name: channel}, DeliveryOptions(4, 60), 2)
    assert totals.processed == 2
    return await desk.read(messages[0]), await desk.read(messages[1])


def _check_settled(message: OutboundMessage, label: str) -> None:
    assert message.status in ("sent", "failed", "approved"), label
    assert message.status == "sent" or message.last_error, label
    if message.next_attempt_at is not None:
        assert message.next_attempt_at < datetime.now(UTC) + LONGEST_WAIT, label
