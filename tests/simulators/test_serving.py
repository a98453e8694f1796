"""Serving on a real port."""

import socket
import threading
import time

import httpx2
import pytest

from proofdesk.core.ports import PortUnavailable
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app
from proofdesk_simulators.serving import running

LABELS = "/api/v1/accounts/1/labels"
NOTE = "/api/v1/accounts/1/conversations/101/messages"


def connect(simulator: ChatwootSimulator, base_url: str) -> httpx2.Client:
    return httpx2.Client(base_url=base_url, headers={"Api-Access-Token": simulator.admin_token}, timeout=5)


def test_a_server_runs_only_within_its_block():
    simulator = build("studio")
    with running(create_app(simulator)) as base_url, connect(simulator, base_url) as client:
        assert client.get(LABELS).status_code == 200
        assert client.get("/_simulator/truth?rows=false").json()["counts"]["conversations"] == 62
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(base_url)


def test_two_servers_run_side_by_side():
    with running(create_app(build("empty"))) as first, running(create_app(build("empty"))) as second:
        assert first != second
        assert {httpx2.get(f"{url}/health").json()["status"] for url in (first, second)} == {"woot"}


def test_a_port_in_use_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(PortUnavailable), running(create_app(build("empty")), port=taken.getsockname()[1]):
            pass


def test_cut_connections_and_lost_replies_reach_the_client():
    simulator = build("studio")
    with running(create_app(simulator)) as base_url, connect(simulator, base_url) as client:
        simulator.faults.add("cut", times=1)
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(LABELS)
        simulator.faults.add("lost_reply", method="POST", times=1)
        before = len(simulator.conversation(101).messages)
        with pytest.raises(httpx2.RemoteProtocolError):
            client.post(NOTE, json={"content": "stored"})
        assert len(simulator.conversation(101).messages) == before + 1
        assert client.get(LABELS).status_code == 200


def test_a_slow_response_exceeds_the_clients_timeout():
    simulator = build("studio")
    simulator.faults.add("delay", delay=2.0, times=1)
    with running(create_app(simulator)) as base_url, connect(simulator, base_url) as client:
        with pytest.raises(httpx2.ReadTimeout):
            client.get(LABELS, timeout=0.05)
        started = time.monotonic()
        assert client.get(LABELS).status_code == 200
        assert time.monotonic() - started < 2


def test_webhooks_reach_a_receiver_on_another_port():
    simulator, receiver = build("studio"), build("empty")
    with running(create_app(receiver)) as target, running(create_app(simulator)) as base_url:
        with connect(simulator, base_url) as client:
            client.post("/api/v1/accounts/1/webhooks", json={"url": f"{target}/hook"})
        simulator.append_message(101, "x", message_type="outgoing")
        assert simulator.deliveries.drain()
    assert [entry.path for entry in receiver.journal.find("POST")] == ["/hook"]
    assert simulator.deliveries.attempts[0].status == 404
    simulator.close()


def test_changes_from_another_thread_do_not_disturb_readers():
    simulator = build("studio")
    changing = threading.Thread(target=lambda: [simulator.create_conversation(1, content="hi") for _ in range(300)])
    with running(create_app(simulator)) as base_url, connect(simulator, base_url) as client:
        changing.start()
        codes = {client.get("/api/v1/accounts/1/conversations?q=hi").status_code for _ in range(30)}
        changing.join()
    assert codes == {200}
    assert simulator.truth(rows=False)["counts"]["conversations"] == 362
