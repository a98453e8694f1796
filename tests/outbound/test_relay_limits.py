"""Relays that limit sessions, logins and messages: every approved mail arrives once, and none fails."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from proofdesk.core import mail_relay as relays
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import ChannelMessage, SendFailed
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions, DeliveryTotals
from proofdesk.outbound.delivery.outcomes import RetryBackoff
from proofdesk_simulators import smtp
from proofdesk_simulators.smtp import SmtpSimulator
from proofdesk_simulators.smtp.simulator import REFUSALS, Limits
from tests.support import exim
from tests.support.emails import SENDER, Links, message
from tests.support.outbound_desk import OutboundDesk

LOGIN = ("desk", "secret")
needs_exim = pytest.mark.skipif(bool(exim.missing()), reason=exim.missing())
Connect = Callable[[str], EmailChannel]


@pytest.fixture
def limited() -> Iterator[tuple[SmtpSimulator, str]]:
    """A relay that asks for a login, and its address."""
    simulator = SmtpSimulator(LOGIN)
    with smtp.running(simulator) as url:
        yield simulator, url.replace("smtp://", "smtp://desk:secret@")


@pytest.fixture
async def connect(limited: tuple[SmtpSimulator, str]) -> AsyncIterator[Connect]:
    """Create channels, one for each worker, and close them before the relay."""
    channels: list[EmailChannel] = []

    def another(url: str) -> EmailChannel:
        channels.append(EmailChannel(relays.parse(url), SENDER, Links(), timeout=20))
        return channels[-1]

    yield another
    for channel in channels:
        await channel.aclose()


async def deliver(desk: OutboundDesk, channels: list[EmailChannel], number: int, within: float = 90) -> DeliveryTotals:
    """Approve e-mails and deliver them with several workers, each with its own channel, until none is due."""
    for n in range(number):
        await desk.approve_new(f"{n}@example.com", max_retries=0)
    total, until = DeliveryTotals(), time.monotonic() + within
    while time.monotonic() < until and desk.fetch_count(
        "SELECT count(*) FROM outbound_messages WHERE status <> 'sent'"
    ):
        runs = await asyncio.gather(
            *(
                delivery.process_due(desk.db, desk.scope, {"email": c}, DeliveryOptions(16, 60, RetryBackoff(1, 5)))
                for c in channels
            )
        )
        for name in ("processed", "sent", "failed", "skipped", "swept"):
            setattr(total, name, getattr(total, name) + sum(getattr(run, name) for run in runs))
        await asyncio.sleep(0.1)
    return total


def all_sent(desk: OutboundDesk) -> Any:
    """Return the states of messages with their used retries."""
    return desk.rows("SELECT status, retry_count, count(*) FROM outbound_messages GROUP BY 1, 2")


@pytest.mark.fidelity(
    "Mail relays",
    "A relay that limits sessions answers 421 instead of its banner.",
    "Postfix, postconf(5): `smtpd_client_connection_count_limit`",
)
async def test_sessions_are_reused_and_adapt_to_the_relay(
    desk: OutboundDesk, limited: tuple[SmtpSimulator, str], connect: Connect
):
    simulator, url = limited
    simulator.limits = Limits(sessions=3)
    channel = connect(url)
    assert await deliver(desk, [channel], 100) == DeliveryTotals(processed=100, sent=100)
    assert all_sent(desk) == [("sent", 0, 100)]
    assert Counter(t.recipients[0] for t in simulator.received).most_common(1)[0][1] == 1
    assert simulator.sessions <= 4 and channel.max_open_sessions == 3
    assert simulator.rejected >= 1


@pytest.mark.parametrize(
    "limits",
    [
        Limits(messages_per_session=7),
        Limits(logins=2, seconds=1, messages_per_session=5, sessions=3),
        Limits(messages=10, seconds=1, quota="rate", step="MAIL"),
        Limits(messages=10, seconds=1, quota="storage", step="DATA"),
        Limits(messages=10, seconds=1, quota="plain", step="RCPT"),
    ],
    ids=lambda limits: f"{limits.quota}-{limits.step}-{limits.messages_per_session}",
)
@pytest.mark.fidelity(
    "Mail relays",
    "Relays limit logins (454), messages of a session (421) and messages in a time (450, 452).",
    "Postfix, postconf(5); Exim specification, 14; Gmail, support.google.com/a/answer/3726730",
)
async def test_relay_limit_fails_no_message(
    desk: OutboundDesk, limited: tuple[SmtpSimulator, str], connect: Connect, limits: Limits
):
    simulator, url = limited
    simulator.limits = limits
    tally = await deliver(desk, [connect(url)], 24)
    assert all_sent(desk) == [("sent", 0, 24)]
    assert (tally.sent, tally.failed) == (24, 0)
    assert sorted(Counter(t.recipients[0] for t in simulator.received).values()) == [1] * 24


async def test_two_workers_share_the_limit_of_the_relay(
    desk: OutboundDesk, limited: tuple[SmtpSimulator, str], connect: Connect
):
    simulator, url = limited
    simulator.limits = Limits(sessions=3)
    tally = await deliver(desk, [connect(url), connect(url)], 60)
    assert all_sent(desk) == [("sent", 0, 60)]
    assert (tally.sent, tally.failed) == (60, 0)


@pytest.mark.fidelity(
    "Mail relays",
    "A daily quota is a 550 5.4.5, permanent by its number only.",
    "Gmail, support.google.com/a/answer/3726730",
)
async def test_daily_quota_delays_all_messages_with_the_reason(
    desk: OutboundDesk, limited: tuple[SmtpSimulator, str], connect: Connect
):
    simulator, url = limited
    simulator.limits = Limits(messages=10, quota="daily", step="DATA")
    channel = connect(url)
    for n in range(30):
        await desk.approve_new(f"{n}@example.com", max_retries=0)
    tally = await delivery.process_due(desk.db, desk.scope, {"email": channel}, desk.options)
    assert (tally.sent, tally.failed) == (10, 0)
    waiting = desk.rows(
        "SELECT status, retry_count, last_error, next_attempt_at > now() + interval '10 minutes' FROM outbound_messages"
        " WHERE status <> 'sent'"
    )
    reason = "provider_error: The mail relay answered 550 to DATA: 5.4.5 Daily user sending limit exceeded."
    assert waiting == [("approved", 0, reason, True)] * 20
    simulator.limits = Limits()
    desk.advance_time(hours=2)
    fresh = connect(url)  # as after a restart
    assert (await delivery.process_due(desk.db, desk.scope, {"email": fresh}, desk.options)).sent == 20
    assert all_sent(desk) == [("sent", 0, 30)]


@pytest.mark.parametrize(
    ("reply", "step", "permanent", "of_provider"),
    [
        ("550 5.1.1 No such user", "RCPT", True, False),
        ("552 5.2.2 Mailbox full", "RCPT", True, False),
        ("552 5.3.4 Message too big", "MAIL", True, False),
        ("554 5.7.1 Rejected as spam", "DATA", True, False),
        ("550 No such user", "RCPT", True, False),
        ("450 4.1.2 Domain not found", "RCPT", False, False),
        ("452 4.2.2 Mailbox full", "RCPT", False, False),
        ("451 4.4.1 No answer from host", "RCPT", False, False),
        ("554 4.4.7 Message expired", "DATA", False, False),
        ("450 4.2.1 Peak SMTP relay limit exceeded", "RCPT", False, True),
        ("451 Local error", "DATA", False, True),
        ("452 4.5.3 Too many recipients", "RCPT", False, True),
        ("450 4.7.1 Greylisted", "RCPT", False, True),
        ("550 5.4.5 Daily user sending limit exceeded", "RCPT", False, True),
        ("550 5.7.233 Tenant exceeded its daily limit", "DATA", False, True),
        ("553 5.7.1 Sender address rejected", "MAIL", False, True),
        ("550 5.1.8 Bad sender", "MAIL", False, True),
        ("530 5.7.0 Authentication required", "MAIL", False, True),
    ],
)
async def test_refusal_is_classified_by_its_enhanced_status(
    limited: tuple[SmtpSimulator, str], connect: Connect, monkeypatch: pytest.MonkeyPatch,
    reply: str, step: str, permanent: bool, of_provider: bool,
):  # fmt: skip
    simulator, url = limited
    monkeypatch.setitem(REFUSALS, "later", reply)
    simulator.fail("later", step=step, times=1)
    channel = connect(url)
    with pytest.raises(SendFailed, match=reply[:3]) as failed:
        await channel.send(message())
    assert (failed.value.permanent, failed.value.channel_wide) == (permanent, of_provider)
    assert not failed.value.delivery_unknown


async def test_session_survives_a_refusal_and_closes_when_idle(
    limited: tuple[SmtpSimulator, str], connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    simulator, url = limited
    channel = connect(url)
    simulator.fail("never", step="RCPT", to="nobody@example.com")
    for to in ("a@example.com", "nobody@example.com", "b@example.com"):
        sent = channel.send(message(to))
        if to.startswith("nobody"):
            with pytest.raises(SendFailed, match="550"):
                await sent
        else:
            await sent
    assert (len(simulator.received), simulator.sessions) == (2, 1)
    await asyncio.sleep(3.5)
    assert not simulator.open, "nobody keeps a session that others may need"
    await channel.send(message("c@example.com"))
    assert (len(simulator.received), simulator.sessions) == (3, 2)


async def test_attempt_cut_off_before_a_session_is_not_delivered(limited: tuple[SmtpSimulator, str], connect: Connect):
    simulator, url = limited
    simulator.limits = Limits(sessions=1)
    simulator.fail("delay", delay=2)
    channel = connect(url)
    first = asyncio.create_task(channel.send(message("a@example.com")))
    await asyncio.sleep(0.3)

    async def second(to: ChannelMessage) -> None:
        async with asyncio.timeout(0.5):
            await channel.send(to)

    with pytest.raises(SendFailed, match="before a session with the mail relay") as failed:
        await second(message("b@example.com"))
    assert failed.value.channel_wide and not failed.value.delivery_unknown
    await first
    assert [t.recipients for t in simulator.received] == [["a@example.com"]]


@needs_exim
@pytest.mark.fidelity(
    "Mail relays",
    "Limits of sessions, logins and messages together.",
    "tried with a real Exim",
)
async def test_200_mails_arrive_through_a_real_relay_with_limits(desk: OutboundDesk, connect: Connect):
    with exim.running(sessions=3, per_session=25, messages="150 / 5s", logins="40 / 5s") as relay:
        tally = await deliver(desk, [connect(relay.url), connect(relay.url)], 200)
        assert all_sent(desk) == [("sent", 0, 200)], relay.log()[-2000:]
        assert (tally.sent, tally.failed) == (200, 0)
        emails = relay.wait_for(200)
        assert sorted(Counter(email["Envelope-To"] for email in emails).values()) == [1] * 200
        assert "too many" in relay.log().lower()


@needs_exim
async def test_real_relay_receives_every_email_unchanged(connect: Connect):
    with exim.running() as relay:
        channel = connect(relay.url)
        text = ".\n..two\nfrom the start\nFrom here\n" + "long " * 400 + "x" * 3000 + "\nüber 😀\r\nbare\rreturn\n."
        subject = "😀" * 250  # 1,000 octets, and no space to fold at
        await channel.send(message("Юля@почта.рф", text=text, subject=subject, html="<p>" + "y" * 5000 + "</p>\n."))
        await channel.send(message("ada@example.com", text=text, subject="😀 " * 80, reply_to="юля@почта.рф"))
        with pytest.raises(SendFailed, match="550") as failed:
            await channel.send(message("nobody@example.com"))
        assert failed.value.permanent
        emails = relay.wait_for(2)
        by_recipient = {email["Envelope-To"]: email for email in emails}
        assert set(by_recipient) == {"юля@xn--80a1acny.xn--p1ai", "ada@example.com"}
        assert by_recipient["юля@xn--80a1acny.xn--p1ai"]["Subject"] == subject
        for email in emails:
            body = email.get_body(("plain",))
            assert body is not None
            assert body.get_content().splitlines() == text.splitlines()
        assert all(len(line) <= 998 for raw in relay.raw() for line in raw.split(b"\n"))


@pytest.mark.fidelity(
    "Mail relays",
    "A relay without SMTPUTF8 cannot take a non-ASCII address.",
    "RFC 6531, 3.1",
)
async def test_non_ascii_address_needs_smtputf8(connect: Connect):
    simulator = SmtpSimulator(smtputf8=False)
    with smtp.running(simulator) as url:
        channel = EmailChannel(relays.parse(url), SENDER, Links())
        with pytest.raises(SendFailed, match="does not support SMTPUTF8") as failed:
            await channel.send(message("Юля@почта.рф"))
        assert failed.value.permanent
        await channel.send(message("Ada@почта.рф"))
        await channel.aclose()
    assert [t.recipients for t in simulator.received] == [["ada@xn--80a1acny.xn--p1ai"]]
