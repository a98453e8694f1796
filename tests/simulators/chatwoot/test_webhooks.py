"""Subscriptions and deliveries: signed, unordered, attempted once."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator, build, signature
from proofdesk_simulators.chatwoot.webhooks import DEFAULT_EVENTS

from .conftest import NOW, connect

URL = "https://receiver.example.org/hook"


@dataclass
class Receiver:
    """Records requests and responds with a configured status."""

    requests: list[httpx2.Request] = field(default_factory=list[httpx2.Request])
    answer: Callable[[httpx2.Request], httpx2.Response] = lambda request: httpx2.Response(200)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer(request)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def events(self) -> list[str]:
        return [body["event"] for body in self.bodies]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def simulator(receiver: Receiver) -> Iterator[ChatwootSimulator]:
    simulator = build("studio", webhook_transport=httpx2.MockTransport(receiver))
    simulator.clock.freeze(NOW)
    yield simulator
    simulator.close()


@pytest.fixture
def client(simulator: ChatwootSimulator) -> Iterator[httpx2.Client]:
    with connect(simulator) as client:
        yield client


@pytest.fixture
def secret(client: httpx2.Client) -> str:
    """Return the secret of a subscription to the default events."""
    return client.post("/webhooks", json={"url": URL}).json()["payload"]["webhook"]["secret"]


def test_the_signature_matches_the_recorded_request(sample: Callable[[str], Any]):
    recorded = sample("webhook_signed_request")
    raw = recorded["raw_body"].encode()
    assert signature.body(json.loads(raw)) == raw
    stamp = recorded["headers"]["X-Chatwoot-Timestamp"]
    assert signature.sign(recorded["secret"], stamp, raw) == recorded["headers"]["X-Chatwoot-Signature"]


def test_deliveries_are_signed_over_their_raw_bytes(simulator: ChatwootSimulator, receiver: Receiver, secret: str):
    simulator.append_message(101, "<b>R&D</b>")
    assert simulator.deliveries.drain()
    for request in receiver.requests:
        stamp = request.headers["x-chatwoot-timestamp"]
        assert stamp == str(int(NOW))
        assert request.headers["x-chatwoot-signature"] == signature.sign(secret, stamp, request.content)
    assert rb"\u003cb\u003eR\u0026D\u003c/b\u003e" in receiver.requests[0].content


def test_an_incoming_message_also_sends_a_contact_event(simulator: ChatwootSimulator, receiver: Receiver, secret: str):
    simulator.append_message(101, "hello again")
    assert simulator.deliveries.drain()
    assert sorted(receiver.events) == [
        "contact_updated",
        "conversation_status_changed",
        "conversation_updated",
        "message_created",
    ]
    noise = next(body for body in receiver.bodies if body["event"] == "contact_updated")
    changed = [name for change in noise["changed_attributes"] for name in change]
    assert changed == ["last_activity_at", "updated_at"]


def test_a_status_change_sends_two_events(
    client: httpx2.Client, simulator: ChatwootSimulator, receiver: Receiver, secret: str
):
    client.post("/conversations/102/toggle_status", json={"status": "pending"})
    assert simulator.deliveries.drain()
    assert receiver.events == ["conversation_updated", "conversation_status_changed"]
    first, second = receiver.bodies
    assert {"status", "updated_at"} <= {name for change in first["changed_attributes"] for name in change}
    assert second["changed_attributes"] is None
    assert second["status"] == "pending"


def test_private_notes_are_delivered_and_activity_is_not(
    client: httpx2.Client, simulator: ChatwootSimulator, receiver: Receiver, secret: str
):
    client.post("/conversations/101/messages", json={"content": "psst", "private": True})
    simulator.append_message(101, "somebody did something", message_type="activity")
    assert simulator.deliveries.drain()
    assert receiver.events == ["message_created"]
    assert receiver.bodies[0]["private"] is True


def test_the_payload_shows_the_state_when_it_is_sent(simulator: ChatwootSimulator, receiver: Receiver, secret: str):
    simulator.deliveries.behaviour.paused = True
    message = simulator.append_message(101, "will be deleted", message_type="outgoing")
    simulator.delete_message(message.id)
    simulator.deliveries.resume()
    assert simulator.deliveries.drain()
    created = next(body for body in receiver.bodies if body["event"] == "message_created")
    assert created["content"] == "This message was deleted"
    assert created["content_attributes"] == {"deleted": True}


def test_an_event_of_a_deleted_record_is_lost(simulator: ChatwootSimulator, receiver: Receiver, secret: str):
    simulator.deliveries.behaviour.paused = True
    simulator.append_message(101, "x", message_type="outgoing")
    simulator.delete_conversation(101)
    simulator.deliveries.resume()
    assert simulator.deliveries.drain()
    assert receiver.requests == []
    assert simulator.deliveries.attempts[0].error == "record is gone"


@pytest.mark.parametrize(("habit", "ids"), [("same", 1), ("different", 2)])
def test_duplicates_have_the_same_or_different_delivery_ids(
    habit: str, ids: int, simulator: ChatwootSimulator, receiver: Receiver, secret: str
):
    simulator.deliveries.behaviour.duplicate = habit
    simulator.append_message(101, "x", message_type="outgoing")
    assert simulator.deliveries.drain()
    sent = [request.headers["x-chatwoot-delivery"] for request in receiver.requests]
    assert (len(sent), len(set(sent))) == (2, ids)


def test_events_can_be_lost(simulator: ChatwootSimulator, receiver: Receiver, secret: str):
    simulator.deliveries.behaviour.lose_every = 2
    for number in range(4):
        simulator.append_message(101, str(number), message_type="outgoing")
    assert simulator.deliveries.drain()
    assert [body["content"] for body in receiver.bodies] == ["0", "2"]


def test_events_can_arrive_in_another_order(simulator: ChatwootSimulator, receiver: Receiver, secret: str):
    simulator.deliveries.behaviour.reverse = True
    for number in range(3):
        simulator.append_message(101, str(number), message_type="outgoing")
    simulator.deliveries.resume()
    assert simulator.deliveries.drain()
    assert [body["content"] for body in receiver.bodies] == ["2", "1", "0"]


def timed_out(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("too slow", request=request)


@pytest.mark.parametrize("answer", [lambda request: httpx2.Response(503), timed_out])
def test_a_failed_delivery_is_not_repeated(
    answer: Callable[[httpx2.Request], httpx2.Response], simulator: ChatwootSimulator, receiver: Receiver, secret: str
):
    receiver.answer = answer
    simulator.append_message(101, "x", message_type="outgoing")
    assert simulator.deliveries.drain()
    assert len(receiver.requests) == len(simulator.deliveries.attempts) == 1
    assert receiver.requests[0].extensions["timeout"]["read"] == 5.0
    attempt = simulator.deliveries.attempts[0]
    assert attempt.status == 503 or attempt.error == "ReadTimeout"


def test_private_targets_can_be_refused(client: httpx2.Client, simulator: ChatwootSimulator, receiver: Receiver):
    client.post("/webhooks", json={"url": "http://127.0.0.1:9/hook"})
    simulator.deliveries.behaviour.refuse_private = True
    simulator.append_message(101, "x", message_type="outgoing")
    assert simulator.deliveries.drain()
    assert receiver.requests == []
    assert simulator.deliveries.attempts[0].error == "private network"


def test_deletions_are_updates_and_removed_conversations_are_silent(
    simulator: ChatwootSimulator, receiver: Receiver, secret: str
):
    message = simulator.append_message(101, "x", message_type="outgoing")
    simulator.delete_message(message.id)
    assert simulator.deliveries.drain()
    simulator.delete_conversation(101)
    assert simulator.deliveries.drain()
    assert receiver.events == ["message_created", "message_updated"]


def test_an_api_inbox_calls_back_signed_with_its_own_secret(receiver: Receiver):
    simulator = build("empty", webhook_transport=httpx2.MockTransport(receiver))
    inbox = simulator.account().inboxes[1]
    inbox.webhook_url = "https://shop.example.org/callback"
    row = simulator.create_conversation(1, content="hello")
    assert simulator.deliveries.drain()
    assert row.id == 1
    assert receiver.events == ["conversation_created", "message_created"]
    request = receiver.requests[1]
    expected = signature.sign(str(inbox.secret), request.headers["x-chatwoot-timestamp"], request.content)
    assert request.headers["x-chatwoot-signature"] == expected
    simulator.close()


def test_subscriptions_have_eight_default_events(client: httpx2.Client):
    webhook = client.post("/webhooks", json={"webhook": {"url": URL, "name": "Bridge"}}).json()["payload"]["webhook"]
    assert webhook["subscriptions"] == list(DEFAULT_EVENTS)
    assert len(DEFAULT_EVENTS) == 8
    changed = client.patch(f"/webhooks/{webhook['id']}", json={"subscriptions": ["message_created"]}).json()
    assert changed["payload"]["webhook"]["subscriptions"] == ["message_created"]
    assert client.delete(f"/webhooks/{webhook['id']}").content == b""
    assert client.get("/webhooks").json() == {"payload": {"webhooks": []}}
    assert client.delete(f"/webhooks/{webhook['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        ({"url": "ftp://x.example.org"}, "url"),
        ({"url": URL, "subscriptions": []}, "subscriptions"),
        ({"url": URL, "subscriptions": ["message_exploded"]}, "subscriptions"),
    ],
)
def test_an_invalid_subscription_is_rejected(body: dict[str, object], attribute: str, client: httpx2.Client):
    answer = client.post("/webhooks", json=body)
    assert (answer.status_code, answer.json()["attributes"]) == (422, [attribute])


def test_a_url_can_be_subscribed_only_once(client: httpx2.Client, secret: str):
    assert client.post("/webhooks", json={"url": URL}).status_code == 422
    missing = client.post("/webhooks", json={})
    assert missing.json() == {"error": "param is missing or the value is empty: webhook"}
