"""E-mail, submitted to a real relay on this machine."""

import inspect
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from email.headerregistry import Address
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofdesk.core import mail_relay as relays
from proofdesk.outbound.channels.email import message as email_message
from proofdesk.outbound.channels.email.address import Mailbox
from proofdesk.outbound.channels.email.channel import EmailChannel
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidPayload,
    InvalidRecipient,
    LookupUnsupported,
    SendFailed,
)
from proofdesk_simulators import smtp
from proofdesk_simulators.smtp import SmtpSimulator
from tests.support.emails import SENDER, Links, message

HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}


def channel(url: str, links: Links | None = None, timeout: float = 20) -> EmailChannel:
    """Return a channel through the relay of a URL."""
    created = EmailChannel(relays.parse(url), SENDER, links or Links(), timeout=timeout)
    OPEN.append(created)
    return created


OPEN: list[EmailChannel] = []


@pytest.fixture
async def closed() -> AsyncIterator[None]:
    """Close the sessions of the test."""
    yield
    while OPEN:
        await OPEN.pop().aclose()


@pytest.fixture(autouse=True)
def _closed(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("closed")


@pytest.fixture
def email(relay: SmtpSimulator, mail_server: tuple[SmtpSimulator, str]) -> EmailChannel:
    return channel(mail_server[1])


async def test_email_arrives_with_both_parts_and_unsubscribe_link(email: EmailChannel, relay: SmtpSimulator):
    sent = message(subject="Ваш счёт № 7", reply_to="Desk@Kestrel.example")
    receipt = await email.send(sent)
    (received,) = relay.received
    headers = received.message
    assert (received.sender, received.recipients) == ("hello@kestrel.example", ["ada@example.com"])
    assert (headers["From"], headers["To"]) == ("Kestrel Studio <hello@kestrel.example>", "ada@example.com")
    assert (headers["Subject"], headers["Reply-To"]) == ("Ваш счёт № 7", "desk@kestrel.example")
    assert headers["Message-ID"] == f"<{sent.key}@kestrel.example>" == receipt.provider_message_id
    assert headers["Date"].datetime.tzinfo is not None
    assert headers["List-Unsubscribe"] == f"<https://desk.example.com/u/{sent.id.hex}{'_-x=9' * 80}>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert b"List-Unsubscribe: <https://" in received.raw, "mail programs read no encoded words there"
    assert headers.get_content_type() == "multipart/alternative"
    assert received.part("plain").strip() == "Hello Ada,\n\nyour invoice is <paid> & done."
    assert '<p dir="auto">your invoice is &lt;paid&gt; &amp; done.</p>' in received.part("html")


@pytest.mark.fidelity(
    "Mail relays",
    "A line that begins with a dot must be escaped.",
    "RFC 5321, 4.5.2",
)
async def test_html_and_leading_dots_arrive_unchanged(email: EmailChannel, relay: SmtpSimulator):
    await email.send(message(text=".\n..two\nüber\r\nlast", html="<b>Hello</b>\n.\n"))
    assert relay.received[0].part("plain").splitlines() == [".", "..two", "über", "last"]
    assert relay.received[0].part("html").splitlines() == ["<b>Hello</b>", "."]


async def test_unsubscribe_link_needs_public_url_and_one_click_needs_https(
    relay: SmtpSimulator, mail_server: tuple[SmtpSimulator, str]
):
    await channel(mail_server[1], Links(None)).send(message())
    await channel(mail_server[1], Links("http://127.0.0.1:8080/u/")).send(message())
    without, plain = (received.message for received in relay.received)
    assert without["List-Unsubscribe"] is None
    assert plain["List-Unsubscribe"].startswith("<http://") and plain["List-Unsubscribe-Post"] is None


async def test_non_ascii_addresses_are_understood(email: EmailChannel, relay: SmtpSimulator):
    await email.send(message("Ada@MÜLLER.de"))
    await email.send(message("Юля@почта.рф"))
    assert [received.recipients for received in relay.received] == [
        ["ada@xn--mller-kva.de"],
        ["юля@xn--80a1acny.xn--p1ai"],
    ]
    assert relay.received[1].raw.count("юля@".encode()) == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("kind", "code", "permanent"), [("later", 451, False), ("never", 550, True)])
async def test_refusal_is_certain_and_decides_about_retry(
    email: EmailChannel, relay: SmtpSimulator, step: str, kind: str, code: int, permanent: bool
):
    relay.fail(kind, step=step)
    with pytest.raises(SendFailed, match=f"answered {code} to {step}") as failed:
        await email.send(message())
    assert (failed.value.permanent, failed.value.delivery_unknown) == (permanent, False)
    assert failed.value.details["upstream"]["status"] == code
    assert not relay.received


@pytest.mark.parametrize(("kind", "received"), [("cut", 0), ("lost_reply", 1)])
async def test_connection_lost_after_the_text_leaves_delivery_unknown(
    email: EmailChannel, relay: SmtpSimulator, kind: str, received: int
):
    relay.fail(kind)
    with pytest.raises(SendFailed) as failed:
        await email.send(message())
    assert failed.value.delivery_unknown and not failed.value.permanent
    assert len(relay.received) == received
    with pytest.raises(LookupUnsupported):
        await email.find(message())


async def test_silence_after_the_text_times_out(relay: SmtpSimulator, mail_server: tuple[SmtpSimulator, str]):
    relay.fail("delay", delay=60)
    with pytest.raises(SendFailed, match="DATA") as failed:
        await channel(mail_server[1], timeout=0.5).send(message())
    assert failed.value.delivery_unknown


async def test_failure_before_the_text_is_certainly_not_delivered(email: EmailChannel, relay: SmtpSimulator):
    relay.fail("cut", step="RCPT")
    with pytest.raises(SendFailed, match="RCPT") as failed:
        await email.send(message())
    assert not failed.value.delivery_unknown and not failed.value.permanent
    with pytest.raises(SendFailed, match="cannot be reached") as failed:
        await channel("smtp://127.0.0.1:1").send(message())
    assert not failed.value.delivery_unknown and not failed.value.permanent


async def test_wrong_password_is_reported_and_costs_no_retry():
    simulator = SmtpSimulator(login=("desk", "s3cret p@ss"))
    with smtp.running(simulator) as url:
        right, wrong = (url.replace("smtp://", f"smtp://desk:{p}@") for p in ("s3cret%20p%40ss", "nope-nope"))
        await channel(right).send(message())
        assert simulator.received[0].username == "desk"
        for address in (wrong, url):
            with pytest.raises(SendFailed, match=r"refuses the login.*Check SMTP_URL") as failed:
                await channel(address).send(message())
            assert not failed.value.permanent and not failed.value.delivery_unknown
            assert "nope-nope" not in f"{failed.value.message} {failed.value.details}"
    assert len(simulator.received) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key."""
    path = tmp_path_factory.mktemp("tls") / "relay.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=relay"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path) + ".key", "-out", str(path)]
    subprocess.run(["openssl", *options.split(), *names], check=True, capture_output=True)
    return path


@pytest.fixture(params=[False, True], ids=["starttls", "implicit"])
def encrypted(request: pytest.FixtureRequest, certificate: Path) -> Iterator[tuple[SmtpSimulator, str]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, str(certificate) + ".key")
    simulator = SmtpSimulator()
    with smtp.running(simulator, tls=context, implicit=request.param) as url:
        yield simulator, url + ("" if request.param else "?tls=starttls")


async def test_certificate_is_verified(
    encrypted: tuple[SmtpSimulator, str], certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    simulator, url = encrypted
    with pytest.raises(SendFailed, match=r"(?i)certificate") as failed:
        await channel(url).send(message())
    assert not failed.value.permanent and not failed.value.delivery_unknown
    assert not simulator.received
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    await channel(url).send(message())
    assert simulator.received[0].encrypted


async def test_relay_without_encryption_is_refused_where_required(
    relay: SmtpSimulator, mail_server: tuple[SmtpSimulator, str]
):
    with pytest.raises(SendFailed, match="STARTTLS"):
        await channel(mail_server[1] + "?tls=starttls").send(message())
    assert not relay.received


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 587, None, None, "starttls")),
        ("smtps://u:p%40ss@mail.example.com", ("mail.example.com", 465, "u", "p@ss", "implicit")),
        ("smtp://u:p@10.0.0.5:25?tls=none", ("10.0.0.5", 25, "u", "p", "none")),
        ("smtp://localhost:1025", ("localhost", 1025, None, None, "none")),
        ("smtp://[::1]:1025/", ("::1", 1025, None, None, "none")),
    ],
)
def test_relay_address_sets_host_port_and_encryption(url: str, expected: tuple[object, ...]):
    headers = relays.parse(url)
    assert (headers.host, headers.port, headers.username, headers.password, headers.tls) == expected


@pytest.mark.parametrize(
    "url",
    ["mail.example.com", "http://mail.example.com", "smtp://", "smtp://h:99999", "smtp://h?tls=maybe", "smtp://h?x=1",
     "smtps://h?tls=none", "smtp://user@h", "smtp://h/path", "smtp://h#x", "smtp://[broken"],
)  # fmt: skip
def test_invalid_relay_address_is_refused(url: str):
    with pytest.raises(ValueError, match="smtp://user:password@"):
        relays.parse(url)


@pytest.mark.parametrize("text", ["", "nobody", "a@b.example, c@d.example", "Ada\r\nBcc: x@y.example <a@b.example>"])
def test_sender_must_be_one_address(text: str):
    with pytest.raises(ValueError, match="one sender"):
        relays.sender(text)


@pytest.mark.parametrize(
    "recipient",
    ["", "ada", "ada@", "@example.com", "Ada <ada@example.com>", "a@example.com,b@example.com", "a b@example.com",
     "a@example.com\r\nBcc: b@example.com", "a@example.com\nb", "a@exa\u2028mple.com", "a@@example.com"],
)  # fmt: skip
def test_recipient_must_be_one_address(recipient: str):
    with pytest.raises(InvalidRecipient, match="one e-mail address"):
        EmailChannel.check(recipient, {"text": "Hello"})


@pytest.mark.parametrize(
    "payload",
    [{}, {"text": ""}, {"text": " \n"}, {"text": 7}, {"text": ["x"]}, {"text": "a\0b"}, {"text": "\ud83d"},
     {"text": "x" * 100_001}, {"text": "x", "subject": "a\r\nBcc: b@example.com"}, {"text": "x", "subject": "a\u2028b"},
     {"text": "x", "subject": "a" * 251}, {"text": "x", "html": {"a": 1}}, {"text": "x", "reply_to": "a\n@b.example"}],
)  # fmt: skip
def test_invalid_email_payload_is_refused(payload: dict[str, object]):
    with pytest.raises(InvalidPayload):
        EmailChannel.check("ada@example.com", payload)


def test_payload_is_normalized():
    assert EmailChannel.check(" Ada@Example.COM ", {"content": "Hello\nmore", "x": 1, "html": ""}) == (
        "ada@example.com",
        {"subject": "Hello", "text": "Hello\nmore"},
    )
    assert EmailChannel.check("a@b.example", {"text": "x " * 99})[1]["subject"].endswith("…")


@settings(max_examples=60, deadline=None)
@given(
    texts=st.fixed_dictionaries({n: st.text(max_size=40) for n in ("subject", "text", "html", "reply_to")}),
    trick=st.sampled_from(
        ["", "\r\nBcc: eve@example.com\r\n\r\n", "\nX-Evil: 1\n", "\rX-Evil: 1", "\x85X-Evil: 1\u2029Bcc: e"]
    ),
)
def test_payload_cannot_add_a_header(texts: dict[str, str], trick: str):
    tricky = {name: text + trick for name, text in texts.items()}
    for payload in (tricky, {"text": tricky["text"]}, {"text": "x", "subject": tricky["subject"]}):
        try:
            recipient, checked = EmailChannel.check("ada@example.com", payload)
        except InvalidPayload:
            continue
        message, to = ChannelMessage(uuid4(), uuid4(), recipient, checked), Mailbox(recipient, recipient, False)
        raw = email_message.compose(message, SENDER, to, None, needs_utf8=False).as_bytes()
        head = raw.split(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
        named = {line.split(":")[0] for line in head if not line.startswith((" ", "\t"))}
        assert named - {"Reply-To"} == HEADERS
        assert b"\r" not in raw.replace(b"\r\n", b"") and b"\n" not in raw.replace(b"\r\n", b"")


def test_display_name_is_quoted():
    odd = Address('Ada "x", <eve@example.com>', addr_spec="ada@example.com")
    created = email_message.compose(
        message(), odd, Mailbox("a@b.example", "a@b.example", False), None, needs_utf8=False
    )
    assert b'From: "Ada \\"x\\", <eve@example.com>" <ada@example.com>' in created.as_bytes()


async def test_headers_have_no_directional_formatting(relay: SmtpSimulator, mail_server: tuple[SmtpSimulator, str]):
    sender = Address("Kestrel\u202e Studio\u2067", addr_spec="hello@kestrel.example")
    async with aclosing(EmailChannel(relays.parse(mail_server[1]), sender, Links())) as email:
        await email.send(message(subject="Refund \u202eEve\u2067", text="As \u202ewritten"))
    headers = relay.received[0].message
    assert (headers["From"], headers["Subject"]) == ("Kestrel Studio <hello@kestrel.example>", "Refund Eve")
    assert "As \u202ewritten" in relay.received[0].part("plain")


async def test_relay_that_ignores_quit_keeps_no_connection(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    """A graceful close of TLS would wait half a minute for each e-mail."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, str(certificate) + ".key")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    served = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        port = listening.getsockname()[1]
        thread.submit(_serve_without_quit, listening, context, served)
        try:
            curt = channel(f"smtps://127.0.0.1:{port}")
            await curt.send(message())
            await curt.aclose()
            assert _count_connections(port) == []
        finally:
            served.set()


def _serve_without_quit(listening: socket.socket, context: ssl.SSLContext, served: threading.Event) -> None:
    """Serve one e-mail, and neither read nor close after the last reply."""
    answers = {b"EHLO": b"250", b"MAIL": b"250", b"RCPT": b"250", b"DATA": b"354", b"QUIT": b"221"}
    plain, _ = listening.accept()
    with context.wrap_socket(plain, server_side=True) as talking, talking.makefile("rwb") as lines:
        talking.sendall(b"220 curt\r\n")
        for line in lines:
            verb = line[:4].upper()
            talking.sendall(answers[verb] + b" so be it\r\n")
            if verb == b"DATA":
                while lines.readline() != b".\r\n":
                    pass
                talking.sendall(b"250 taken\r\n")
            if verb == b"QUIT":
                break
        served.wait(30)


def _count_connections(port: int) -> list[str]:
    """Return the states of the connections of this process to the relay."""
    headers = psutil.Process().net_connections("tcp")
    return [c.status for c in headers if c.raddr and c.raddr.port == port and c.status == psutil.CONN_ESTABLISHED]
