"""Views, compared with recorded responses of Chatwoot 4.15.1: same keys, values and absent keys."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator
from proofdesk_simulators.chatwoot.installation import Event
from proofdesk_simulators.chatwoot.views import events

Sample = Callable[[str], Any]
ACCOUNT = "/api/v1/accounts/7"
EXACT = {
    "profile": "/api/v1/profile",
    "account": ACCOUNT,
    "agents": f"{ACCOUNT}/agents",
    "inboxes": f"{ACCOUNT}/inboxes",
    "labels": f"{ACCOUNT}/labels",
    "teams": f"{ACCOUNT}/teams",
    "conversations_page": f"{ACCOUNT}/conversations?status=all&assignee_type=all&page=1",
    "conversations_page_empty": f"{ACCOUNT}/conversations?status=all&page=2",
    "conversations_meta": f"{ACCOUNT}/conversations/meta?status=all",
    "conversation_show": f"{ACCOUNT}/conversations/1042",
    "conversation_labels": f"{ACCOUNT}/conversations/1042/labels",
    "messages_page": f"{ACCOUNT}/conversations/1042/messages",
    "messages_page_after": f"{ACCOUNT}/conversations/1042/messages?after=90326",
    "messages_page_before": f"{ACCOUNT}/conversations/1042/messages?before=90318",
    "messages_page_between": f"{ACCOUNT}/conversations/1042/messages?after=90317&before=90325",
    "messages_page_filtered": f"{ACCOUNT}/conversations/1042/messages?filter_internal_messages=true",
    "messages_page_email": f"{ACCOUNT}/conversations/1043/messages",
    "messages_page_whatsapp": f"{ACCOUNT}/conversations/1044/messages",
    "messages_page_api_bot": f"{ACCOUNT}/conversations/1045/messages",
    "messages_page_empty": f"{ACCOUNT}/conversations/1046/messages",
    "contacts_page": f"{ACCOUNT}/contacts?sort=-last_activity_at",
    "contacts_page_2": f"{ACCOUNT}/contacts?sort=-last_activity_at&page=2",
    "contacts_search": f"{ACCOUNT}/contacts/search?q=Соколова",
    "contact_show": f"{ACCOUNT}/contacts/501",
    "contact_conversations": f"{ACCOUNT}/contacts/501/conversations",
}


def shape(value: Any) -> Any:
    """Return keys and types without values. A list has the shape of its first element."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize("name", EXACT)
def test_a_read_returns_the_recorded_response(name: str, recorded_client: httpx2.Client, sample: Sample):
    answer, wanted = recorded_client.get(EXACT[name]), sample(name)
    assert answer.status_code == 200
    found = answer.json()
    if name.startswith("messages_page"):
        # The list shows milliseconds of a time that the conversation shows in seconds only.
        for meta in (found["meta"], wanted["meta"]):
            _cut_fraction(meta)
    if name == "profile":
        wanted["pubsub_token"] = found["pubsub_token"]
    assert found == wanted


def test_the_filter_has_no_wrapper_and_three_counts(recorded_client: httpx2.Client, sample: Sample):
    body = sample("conversations_filter_request")
    body["payload"].insert(
        0,
        {"attribute_key": "assignee_id", "filter_operator": "is_present", "values": [], "query_operator": "AND"},
    )
    answer = recorded_client.post(f"{ACCOUNT}/conversations/filter?page=1", json=body).json()
    assert answer == sample("conversations_filter")


def test_contactable_inboxes_pair_an_address_with_a_slim_inbox(recorded_client: httpx2.Client, sample: Sample):
    answer = recorded_client.get(f"{ACCOUNT}/contacts/501/contactable_inboxes").json()
    wanted = sample("contactable_inboxes")
    wanted["payload"][0]["source_id"] = answer["payload"][0]["source_id"]  # a random one in Chatwoot
    assert answer == wanted


def test_creating_a_contact_returns_the_raw_inbox_row(recorded_client: httpx2.Client, sample: Sample):
    body = sample("contact_create_request") | {"identifier": "new-1", "source_id": "new-1"}
    answer = recorded_client.post(f"{ACCOUNT}/contacts", json=body).json()
    wanted = sample("contact_create")
    assert set(answer["payload"]["contact"]) == set(wanted["payload"]["contact"])
    assert set(answer["payload"]["contact_inbox"]["inbox"]) == set(wanted["payload"]["contact_inbox"]["inbox"])


def test_creating_a_contact_inbox_has_the_recorded_shape(recorded_client: httpx2.Client, sample: Sample):
    answer = recorded_client.post(f"{ACCOUNT}/contacts/501/contact_inboxes", json={"inbox_id": 12}).json()
    assert shape(answer) == shape(sample("contact_inbox_create"))


def test_creating_a_conversation_returns_the_whole_conversation(recorded_client: httpx2.Client, sample: Sample):
    body = sample("conversation_create_request")
    answer = recorded_client.post(f"{ACCOUNT}/conversations", json=body).json()
    assert shape(answer) == shape(sample("conversation_create"))
    assert answer["id"] == 1047


def test_creating_a_message_has_the_recorded_shape(recorded_client: httpx2.Client, sample: Sample):
    body = sample("message_create_request")
    answer = recorded_client.post(f"{ACCOUNT}/conversations/1042/messages", json=body).json()
    wanted = sample("message_create")
    assert answer | {"id": 0, "created_at": 0} == wanted | {"id": 0, "created_at": 0}


def test_creating_a_private_note_has_the_recorded_shape(recorded_client: httpx2.Client, sample: Sample):
    body = {"content": "CRM: договорились о повторной доставке", "private": True}
    answer = recorded_client.post(f"{ACCOUNT}/conversations/1042/messages", json=body).json()
    wanted = sample("message_create_private_note")
    assert answer | {"id": 0, "created_at": 0} == wanted | {"id": 0, "created_at": 0}


def test_creating_a_message_with_files_has_the_recorded_shape(recorded_client: httpx2.Client, sample: Sample):
    files = [
        ("attachments[]", ("waybill-4821.pdf", b"%PDF-1.7 \x00\xff\n", "application/pdf")),
        ("attachments[]", ("map.png", b"\x89PNG\r\n\x1a\n", "image/png")),
    ]
    answer = recorded_client.post(
        f"{ACCOUNT}/conversations/1042/messages", data={"content": "Накладная во вложении"}, files=files
    ).json()
    assert shape(answer) == shape(sample("message_create_attachments"))
    assert [file["file_size"] for file in answer["attachments"]] == [12, 8]


def test_deleting_a_message_returns_the_recorded_response(
    recorded: ChatwootSimulator, recorded_client: httpx2.Client, sample: Sample
):
    recorded.account(7).locale = "en"
    answer = recorded_client.delete(f"{ACCOUNT}/conversations/1042/messages/90325").json()
    assert answer == sample("message_delete")


def test_retry_and_status_return_the_recorded_responses(recorded_client: httpx2.Client, sample: Sample):
    retried = recorded_client.post(f"{ACCOUNT}/conversations/1044/messages/90304/retry").json()
    assert retried == sample("message_retry")
    read = recorded_client.patch(f"{ACCOUNT}/conversations/1045/messages/90342", json={"status": "read"}).json()
    assert read == sample("message_status_update")


def test_toggling_a_status_returns_the_recorded_response(recorded_client: httpx2.Client, sample: Sample):
    recorded_client.post(f"{ACCOUNT}/conversations/1043/toggle_status", json={"status": "open"})
    answer = recorded_client.post(f"{ACCOUNT}/conversations/1043/toggle_status", json={"status": "resolved"})
    assert answer.json() == sample("conversation_toggle_status")


def test_webhooks_are_rendered_as_recorded(recorded_client: httpx2.Client, sample: Sample):
    created = recorded_client.post(f"{ACCOUNT}/webhooks", json=sample("webhook_create_request")).json()
    assert shape(created) == shape(sample("webhook_create"))
    assert shape(recorded_client.get(f"{ACCOUNT}/webhooks").json()) == shape(sample("webhooks"))


def test_the_server_status_has_the_recorded_shape(recorded_client: httpx2.Client, sample: Sample):
    answer = recorded_client.get("/api", headers={"Api-Access-Token": ""})
    assert answer.json() == sample("api_status")


@pytest.mark.parametrize(
    ("name", "message_id"),
    [
        ("incoming", 90311),
        ("outgoing", 90317),
        ("private_note", 90318),
        ("attachment", 90321),
        ("template", 90312),
        ("email", 90240),
        ("api_bot", 90342),
    ],
)
def test_a_message_event_has_the_recorded_form(name: str, message_id: int, recorded: ChatwootSimulator, sample: Sample):
    event = Event("message_created", recorded.account(7), recorded.message(message_id))
    payload: Any = events.payload(recorded.installation, event)
    wanted = sample(f"webhook_message_created_{name}")
    assert set(payload) == set(wanted)
    assert set(payload["conversation"]) == set(wanted["conversation"])
    assert set(payload["conversation"]["meta"]) == set(wanted["conversation"]["meta"])
    for key in ("account", "content", "content_type", "content_attributes", "inbox", "message_type", "sender"):
        assert payload[key] == wanted[key], key


@pytest.mark.parametrize("name", ["conversation_created", "conversation_updated", "conversation_status_changed"])
def test_a_conversation_event_has_the_recorded_form(name: str, recorded: ChatwootSimulator, sample: Sample):
    row = recorded.conversation(1043 if name.endswith("status_changed") else 1042, 7)
    event = Event(name, recorded.account(7), row, [{"team_id": {"previous_value": None, "current_value": 5}}])
    payload: Any = events.payload(recorded.installation, event)
    wanted = sample(f"webhook_{name}")
    assert set(payload) == set(wanted)
    assert set(payload["contact_inbox"]) == set(wanted["contact_inbox"])
    assert set(payload["messages"][0]) - {"sender"} == set(wanted["messages"][0]) - {"sender"}
    assert payload["meta"]["sender"] == wanted["meta"]["sender"]
    assert (payload.get("changed_attributes") is None) == (wanted.get("changed_attributes") is None)


@pytest.mark.parametrize("name", ["contact_created", "contact_updated"])
def test_a_contact_event_has_the_recorded_form(name: str, recorded: ChatwootSimulator, sample: Sample):
    wanted = sample(f"webhook_{name}")
    changed = wanted.get("changed_attributes")
    event = Event(name, recorded.account(7), recorded.contact(wanted["id"], 7), changed)
    assert events.payload(recorded.installation, event) == wanted


def _cut_fraction(meta: dict[str, Any]) -> None:
    for name in ("agent_last_seen_at", "assignee_last_seen_at"):
        if meta[name]:
            meta[name] = meta[name][:19]
