"""Faults, throttles and pages that change while they are read."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.chatwoot.refusals import CATALOGUE
from proofdesk_simulators.serving import running

from .conftest import InProcess

# The name of a fault and the case of the recorded catalogue it must answer like.
RECORDED = {
    "401_no_token": "no token at all",
    "401_unknown_token": "unknown token",
    "401_not_member": "token owner is not in this account",
    "401_refused": "policy refuses (agent without the inbox, agent listing webhooks)",
    "401_bot": "agent bot or platform token on a user-only endpoint",
    "401_suspended": "account suspended",
    "403": "message status update outside an API inbox",
    "404": "account, conversation, message, contact or inbox not found",
    "404_route": "route unknown, Accept: application/json",
    "422_rule": "more than 200 messages a minute in one conversation",
    "422_record": "record invalid (duplicate contact)",
    "429": "throttled",
    "500": "unhandled exception or request timeout",
}


@pytest.mark.parametrize("kind", RECORDED)
def test_a_fault_responds_as_recorded(
    kind: str, client: httpx2.Client, simulator: ChatwootSimulator, sample: Callable[[str], Any]
):
    recorded = next(entry for entry in sample("errors") if entry["case"] == RECORDED[kind])
    simulator.faults.add(kind)
    answer = client.get("/conversations")
    assert answer.status_code == recorded["status"]
    assert answer.headers["content-type"].startswith(recorded["headers"]["Content-Type"])
    if "body" in recorded:
        assert answer.json() == recorded["body"]
    else:
        assert answer.text == recorded["body_text"]


def test_there_are_six_forms_of_401():
    bodies = [
        str(answer.body) for answer in CATALOGUE.values() if answer.status == 401 and isinstance(answer.body, dict)
    ]
    assert len(set(bodies)) == 6


def test_only_a_proxy_adds_retry_after_to_a_throttled_response(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.faults.add("429", times=1)
    assert "retry-after" not in client.get("/labels").headers
    simulator.faults.add("429", times=1, retry_after=7)
    assert client.get("/labels").headers["retry-after"] == "7"


@pytest.mark.parametrize("kind", ["502", "503", "504"])
def test_a_broken_proxy_responds_with_html(kind: str, client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.faults.add(kind)
    answer = client.get("/labels")
    assert (answer.status_code, answer.headers["content-type"]) == (int(kind), "text/html")
    assert answer.text.startswith("<html>")


def test_every_third_request_fails(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.faults.add("500", every=3)
    assert [client.get("/labels").status_code for _ in range(6)] == [200, 200, 500, 200, 200, 500]


def test_a_fault_can_skip_requests_and_match_a_path(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.faults.add("502", path="*/messages", method="GET", skip=1, times=1)
    assert client.get("/labels").status_code == 200
    codes = [client.get("/conversations/101/messages").status_code for _ in range(4)]
    assert codes == [200, 502, 200, 200]
    assert client.post("/conversations/101/messages", json={"content": "x"}).status_code == 200


def test_a_cut_connection_is_a_protocol_error(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.faults.add("cut", times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/conversations")
    assert client.get("/conversations").status_code == 200


def test_a_response_can_break_in_the_middle(simulator: ChatwootSimulator):
    simulator.faults.add("half", times=1)
    with (
        running(create_app(simulator)) as url,
        httpx2.stream(
            "GET", f"{url}/api/v1/accounts/1/conversations", headers={"Api-Access-Token": simulator.admin_token}
        ) as answer,
    ):
        body = bytearray()
        with pytest.raises(httpx2.RemoteProtocolError):
            for part in answer.iter_bytes():
                body += part
    assert 0 < len(body) < int(answer.headers["content-length"]) and answer.headers["x-request-id"]
    assert b'{"data":{' in body


def test_a_response_can_be_endless(simulator: ChatwootSimulator):
    simulator.faults.add("trickle")
    with running(create_app(simulator)) as url, httpx2.stream("GET", f"{url}/api/v1/profile") as answer:
        parts = answer.iter_raw()
        assert [next(parts).strip() for _ in range(3)] == [b""] * 3


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("200_garbled", "application/json"), ("200_strange", "application/json"), ("200_page", "text/html")],
)
def test_something_else_can_respond_in_place_of_chatwoot(
    kind: str, media_type: str, client: httpx2.Client, simulator: ChatwootSimulator
):
    simulator.faults.add(kind)
    answer = client.get("/conversations")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(media_type)
    assert "data" not in answer.text


def test_a_proxy_can_drop_the_query(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.switches.drop_queries = True
    first, second = (client.get("/contacts", params={"page": page}).json()["payload"] for page in (1, 2))
    assert first == second


def test_a_lost_reply_leaves_the_message_stored(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.faults.add("lost_reply", method="POST", path="*/messages")
    with pytest.raises(httpx2.RemoteProtocolError):
        client.post("/conversations/101/messages", json={"content": "x", "content_attributes": {"key": "k-1"}})
    newest = client.get("/conversations/101/messages").json()["payload"][-1]
    assert newest["content_attributes"]["key"] == "k-1"


def test_unknown_kinds_are_rejected(simulator: ChatwootSimulator):
    with pytest.raises(ValueError, match="Unknown kind of fault"):
        simulator.faults.add("418")
    with pytest.raises(ValueError, match="Unknown throttle"):
        simulator.throttles.set("everything")


def test_throttles_count_in_windows_of_the_clock(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.clock.freeze(1_795_200_059.0)  # one second before a minute ends
    simulator.throttles.set("ip", 2)
    assert [client.get("/labels").status_code for _ in range(3)] == [200, 200, 429]
    simulator.clock.advance(1)
    answer = client.get("/labels")
    assert answer.status_code == 200


def test_the_general_throttle_counts_by_address(simulator: ChatwootSimulator):
    simulator.throttles.set("ip", 1)
    headers = {"Api-Access-Token": simulator.admin_token}
    codes: list[int] = []
    for ip in ("203.0.113.5", "203.0.113.5", "203.0.113.6"):
        with httpx2.Client(transport=InProcess(create_app(simulator), ip), headers=headers) as client:
            codes.append(client.get("http://chatwoot/api/v1/profile").status_code)
    assert codes == [200, 429, 200]


def test_search_is_throttled_by_account_and_meta_by_token(
    client: httpx2.Client, client_of: Callable[[str], httpx2.Client], simulator: ChatwootSimulator
):
    simulator.throttles.set("contact_search", 1)
    simulator.throttles.set("conversations_meta", 1)
    agent = client_of("simulator-agent-3")
    assert client.get("/contacts/search?q=a").status_code == 200
    assert agent.get("/contacts/search?q=a").text == "Retry later\n"
    assert [client.get("/conversations/meta").status_code for _ in range(2)] == [200, 429]
    assert agent.get("/conversations/meta").status_code == 200
    assert client.get("/conversations").status_code == 200


def test_loopback_can_be_exempt(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.throttles.set("ip", 0)
    simulator.throttles.exempt_loopback = True
    assert client.get("/labels").status_code == 200


def test_the_defaults_of_the_throttles_are_the_servers(simulator: ChatwootSimulator):
    limits = {scope: simulator.throttles.set(scope).limit for scope in ("ip", "contact_search", "conversations_meta")}
    assert limits == {"ip": 3000, "contact_search": 100, "conversations_meta": 30}


def test_a_conversation_moves_to_the_first_page_during_paging(client: httpx2.Client, simulator: ChatwootSimulator):
    query = "/conversations?status=all&sort_by=last_activity_at_desc"
    oldest = client.get(f"{query}&page=3").json()["data"]["payload"][-1]["id"]
    simulator.shift(lambda: simulator.append_message(oldest, "still there?"), times=1)
    pages = [client.get(f"{query}&page={page}").json()["data"]["payload"] for page in (1, 2, 3)]
    seen = [row["id"] for page in pages for row in page]
    assert oldest not in seen
    assert len(seen) != len(set(seen))
    assert client.get(query).json()["data"]["payload"][0]["id"] == oldest


def test_pages_shift_up_when_one_is_deleted(client: httpx2.Client, simulator: ChatwootSimulator):
    query = "/conversations?status=all&sort_by=created_at_asc"
    simulator.shift(lambda: simulator.delete_conversation(101), every=1, times=1)
    first = [row["id"] for row in client.get(f"{query}&page=1").json()["data"]["payload"]]
    second = [row["id"] for row in client.get(f"{query}&page=2").json()["data"]["payload"]]
    again = [row["id"] for row in client.get(f"{query}&page=1").json()["data"]["payload"]]
    skipped = set(again) - set(first) - set(second)
    assert len(skipped) == 1


def test_the_journal_counts_requests(client: httpx2.Client, simulator: ChatwootSimulator):
    client.get("/conversations?status=all&page=2")
    client.get("/conversations/101/messages")
    client.post("/conversations/101/messages", json={"content": "x"})
    assert simulator.journal.count() == 3
    assert simulator.journal.count("GET", "*/messages") == 1
    assert simulator.journal.count(query="*page=2*") == 1
    assert [entry.status for entry in simulator.journal.find(path="*/messages")] == [200, 200]
    simulator.journal.clear()
    assert simulator.journal.count() == 0
