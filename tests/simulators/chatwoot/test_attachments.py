"""Attachments: the list, the links and the store behind them."""

import httpx2

from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app

from .conftest import InProcess


def test_attachments_come_newest_first(client: httpx2.Client, simulator: ChatwootSimulator):
    busiest = max(
        simulator.account().conversations.values(),
        key=lambda row: sum(len(m.attachments or []) for m in row.messages),
    )
    answer = client.get(f"/conversations/{busiest.id}/attachments").json()
    numbers = [file["id"] for file in answer["payload"]]
    assert answer["meta"] == {"total_count": len(numbers)}
    assert numbers == sorted(numbers, reverse=True)
    assert client.get(f"/conversations/{busiest.id}/attachments?page=2").json()["payload"] == []


def test_a_link_redirects_to_another_host_without_a_token(client: httpx2.Client, simulator: ChatwootSimulator):
    files = [("attachments[]", ("proof.pdf", b"%PDF-1.7", "application/pdf"))]
    sent = client.post("/conversations/101/messages", data={"private": "false"}, files=files).json()
    link = sent["attachments"][0]["data_url"]
    with httpx2.Client(transport=InProcess(create_app(simulator))) as stranger:
        redirect = stranger.get(link)
        assert redirect.status_code == 302
        target = httpx2.URL(redirect.headers["location"])
        assert target.host != httpx2.URL(link).host
        assert stranger.get(target).content == b"%PDF-1.7"


def test_a_new_file_is_not_available_immediately(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.switches.attachment_ready_after = 5
    files = [("attachments[]", ("a.png", b"\x89PNG", "image/png"))]
    sent = client.post("/conversations/101/messages", files=files).json()
    with httpx2.Client(transport=InProcess(create_app(simulator)), follow_redirects=True) as stranger:
        assert stranger.get(sent["attachments"][0]["data_url"]).status_code == 404
        simulator.clock.advance(5)
        assert stranger.get(sent["attachments"][0]["data_url"]).content == b"\x89PNG"


def test_the_files_of_a_deleted_message_are_gone(client: httpx2.Client, simulator: ChatwootSimulator):
    files = [("attachments[]", ("a.png", b"\x89PNG", "image/png"))]
    sent = client.post("/conversations/101/messages", files=files).json()
    client.delete(f"/conversations/101/messages/{sent['id']}")
    with httpx2.Client(transport=InProcess(create_app(simulator))) as stranger:
        assert stranger.get(sent["attachments"][0]["data_url"]).status_code == 404


def test_sample_files_have_their_declared_size(simulator: ChatwootSimulator):
    file = next(f for f in simulator.installation.files.values() if f.filename == "CN-2026-0019.pdf")
    with httpx2.Client(transport=InProcess(create_app(simulator)), follow_redirects=True) as stranger:
        answer = stranger.get(f"{simulator.switches.public_url}/rails/active_storage/blobs/redirect/b{file.id}/x.pdf")
    assert len(answer.content) == file.file_size == 61_002
    assert answer.headers["content-type"] == "application/pdf"
