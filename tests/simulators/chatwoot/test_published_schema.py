"""Responses, validated against Chatwoot's own OpenAPI document where that document is right."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

# Answers and the schema they must fit. Left out are those whose schema is wrong: the filter,
# webhooks, created contacts and conversations.
CHECKED = {
    "/conversations?status=all": "conversation_list",
    "/conversations/101": "conversation_show",
    "/conversations/101/labels": "conversation_labels",
    "/conversations/101/messages": "conversation_messages",
    "/contacts?sort=name": "contacts_list_response",
    "/contacts/1": "contact_show_response",
    "/contacts/1/contactable_inboxes": "contactable_inboxes_response",
    "http://chatwoot/api/v1/profile": "user",
}
LISTS = {"/agents": "agent", "/teams": "team", "/inboxes": "inbox", "/labels": "label"}
# Where the views send something else than the document says (`type`: users and bots send messages too).
WRONG_IN_THE_DOCUMENT = {
    "type", "snoozed_until", "status", "content", "in_reply_to", "description", "domain", "provider", "source_id",
    "current_page", "website_url", "widget_color", "website_token", "welcome_title", "welcome_tagline",
    "web_widget_script", "reply_time", "hmac_mandatory", "allowed_domains", "selected_feature_flags",
}  # fmt: skip


@pytest.fixture(scope="module")
def document(chatwoot_notes: Path) -> dict[str, Any]:
    return json.loads((chatwoot_notes / "swagger.json").read_text(encoding="utf-8"))


def complaints(document: dict[str, Any], schema: str, value: Any) -> list[str]:
    validator = Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]})
    found: list[str] = []
    for error in validator.iter_errors(value):
        last = next((part for part in reversed(error.absolute_path) if isinstance(part, str)), "")
        null_object = error.instance is None and error.validator == "type"
        if last not in WRONG_IN_THE_DOCUMENT and not null_object:
            found.append(f"{error.json_path}: {error.message[:200]}")
    return found


@pytest.mark.parametrize("path", CHECKED)
def test_a_response_matches_the_published_schema(path: str, client: httpx2.Client, document: dict[str, Any]):
    assert complaints(document, CHECKED[path], client.get(path).json()) == []


@pytest.mark.parametrize("path", LISTS)
def test_list_items_match_the_published_schema(path: str, client: httpx2.Client, document: dict[str, Any]):
    answer = client.get(path).json()
    rows = answer["payload"] if isinstance(answer, dict) else answer
    assert rows
    assert [text for row in rows for text in complaints(document, LISTS[path], row)] == []


def test_a_created_message_matches_the_published_schema(client: httpx2.Client, document: dict[str, Any]):
    answer = client.post("/conversations/101/messages", json={"content": "hello"}).json()
    assert complaints(document, "message", answer) == []
