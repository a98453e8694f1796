"""The simulated relay, through the standard library's SMTP client and its controls over HTTP."""

import smtplib
from collections.abc import Iterator

import httpx2
import pytest

from proofdesk_simulators import smtp
from proofdesk_simulators.serving import running
from proofdesk_simulators.smtp import SmtpSimulator, create_app


@pytest.fixture
def simulator() -> SmtpSimulator:
    return SmtpSimulator()


@pytest.fixture
def port(simulator: SmtpSimulator) -> Iterator[int]:
    with smtp.running(simulator) as url:
        yield int(url.rpartition(":")[2])


def _send(port: int, to: str = "ada@example.com", text: str = "Hello") -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.sendmail("studio@example.com", [to], f"Subject: Yes\r\nTo: {to}\r\n\r\n{text}")


def test_messages_are_recorded(port: int, simulator: SmtpSimulator):
    _send(port, text="one\r\n.\r\n..two")
    (taken,) = simulator.received
    assert (taken.sender, taken.recipients, taken.encrypted) == ("studio@example.com", ["ada@example.com"], False)
    assert (taken.message["Subject"], taken.part("plain").strip()) == ("Yes", "one\n.\n..two")


def test_rejections_apply_at_their_step_and_as_often_as_set(port: int, simulator: SmtpSimulator):
    simulator.fail("never", step="RCPT", to="bob@example.com")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        _send(port, "bob@example.com")
    simulator.fail("later", every=2, times=1)
    _send(port)
    with pytest.raises(smtplib.SMTPDataError):
        _send(port)
    _send(port)
    assert len(simulator.received) == 2
    with pytest.raises(ValueError, match="kind"):
        simulator.fail("nonsense")


@pytest.mark.parametrize(("kind", "taken"), [("cut", 0), ("lost_reply", 1)])
def test_connections_break_before_or_after_a_message_is_accepted(
    port: int, simulator: SmtpSimulator, kind: str, taken: int
):
    simulator.fail(kind)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        _send(port)
    assert len(simulator.received) == taken


def test_the_controls_work_over_http(port: int, simulator: SmtpSimulator):
    with running(create_app(simulator)) as url, httpx2.Client(base_url=f"{url}/_simulator", trust_env=False) as control:
        assert control.post("/faults", json={"kind": "never", "times": 1}).json()["step"] == "DATA"
        assert control.post("/faults", json={"kind": "nonsense"}).status_code == 422
        with pytest.raises(smtplib.SMTPDataError):
            _send(port)
        assert control.delete("/faults").status_code == 200
        _send(port)
        (sent,) = control.get("/sent").json()["sent"]
        assert (sent["to"], sent["text"].strip()) == (["ada@example.com"], "Hello")
        assert ["Subject", "Yes"] in sent["headers"]
        state = control.get("/state").json()
        assert (state["sent"], state["sessions"], state["faults"]) == (1, 2, [])
        assert control.put("/limits", json={"sessions": 0}).json()["sessions"] == 0
        with pytest.raises(smtplib.SMTPConnectError, match="421"):
            _send(port)
        assert control.get("/state").json()["turned_away"] == 1
        assert control.put("/limits", json={"quota": "nonsense"}).status_code == 422
        control.post("/reset")
        assert control.get("/sent").json() == {"sent": []}
