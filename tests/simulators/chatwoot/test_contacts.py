"""Contacts: lists, search, changes, addresses."""

import httpx2

from proofdesk_simulators.chatwoot import ChatwootSimulator


def test_the_list_excludes_anonymous_visitors(client: httpx2.Client, simulator: ChatwootSimulator):
    names = [
        row["name"] for page in range(1, 5) for row in client.get(f"/contacts?sort=name&page={page}").json()["payload"]
    ]
    assert "visitor-4471" not in names
    assert len(names) == client.get("/contacts").json()["meta"]["count"] == 37
    assert names == sorted(names, key=str.lower)
    assert len(simulator.account().contacts) == 39


def test_the_page_number_comes_back_as_it_was_sent(client: httpx2.Client):
    assert client.get("/contacts").json()["meta"]["current_page"] == 1
    assert client.get("/contacts?page=1").json()["meta"]["current_page"] == "1"
    assert client.get("/contacts?page=99").json()["payload"] == []


def test_contact_inboxes_are_optional(client: httpx2.Client):
    row = client.get("/contacts?include_contact_inboxes=false").json()["payload"][0]
    assert "contact_inboxes" not in row


def test_search_includes_visitors_and_reports_more_pages(client: httpx2.Client):
    found = client.get("/contacts/search?q=VISITOR").json()
    assert {row["name"] for row in found["payload"]} == {"visitor-4471", "visitor-5120"}
    assert found["meta"] == {"count": 2, "current_page": 1, "has_more": False}
    many = client.get("/contacts/search?q=example").json()
    assert many["meta"] == {"count": 15, "current_page": 1, "has_more": True}
    assert client.get("/contacts/search?q=").json()["payload"] == []


def test_search_in_identifiers_is_case_sensitive(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.update_contact(1, {"identifier": "CRM-7"})
    assert client.get("/contacts/search?q=CRM-7").json()["meta"]["count"] == 1
    assert client.get("/contacts/search?q=crm-7").json()["meta"]["count"] == 0


def test_the_last_activity_is_absent_before_the_first(client: httpx2.Client):
    made = client.post("/contacts", json={"name": "New", "email": "NEW@Example.org"}).json()["payload"]
    assert "last_activity_at" not in made["contact"]
    assert made["contact"]["email"] == "new@example.org"
    assert made["contact_inbox"] == {"inbox": None, "source_id": None}


def test_a_second_contact_with_the_same_mail_is_invalid(client: httpx2.Client):
    answer = client.post("/contacts", json={"name": "Double", "email": "Oliver@GrantJoinery.example.com"})
    assert answer.status_code == 422
    assert answer.json() == {"message": "Email has already been taken", "attributes": ["email"]}


def test_attribute_objects_are_merged(client: httpx2.Client):
    answer = client.put("/contacts/1", json={"custom_attributes": {"vip": True}}).json()["payload"]
    assert answer["custom_attributes"] == {"language": "en", "client_since": 2025, "vip": True}


def test_a_contacts_conversations_stop_at_twenty(client: httpx2.Client, simulator: ChatwootSimulator):
    for _ in range(25):
        simulator.create_conversation(2, 1)
    assert len(client.get("/contacts/1/conversations").json()["payload"]) == 20


def test_deleting_a_contact_deletes_its_conversations(client: httpx2.Client):
    assert client.delete("/contacts/1").content == b""
    assert client.get("/contacts/1").status_code == 404
    assert client.get("/conversations/101").status_code == 404


def test_a_contact_is_found_by_its_address(client: httpx2.Client):
    body = {"inbox_id": 2, "source_id": "oliver@grantjoinery.example.com"}
    assert client.post("/contact_inboxes/filter", json=body).json()["id"] == 1
    missing = client.post("/contact_inboxes/filter", json=body | {"source_id": "x"})
    assert (missing.status_code, missing.content) == (404, b"")


def test_a_taken_source_id_moves_in_mail_and_fails_in_api_inboxes(client: httpx2.Client, simulator: ChatwootSimulator):
    body = {"inbox_id": 2, "source_id": "oliver@grantjoinery.example.com"}
    assert client.post("/contacts/2/contact_inboxes", json=body).status_code == 200
    old = next(address for address in simulator.contact(1).inboxes if address.inbox.id == 2)
    assert old.source_id.startswith("oliver@grantjoinery.example.com-")
