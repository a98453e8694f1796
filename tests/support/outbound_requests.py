"""Requests to the outbound routes."""

from typing import Any

from tests.support.server import Person


def draft_body(key: str = "key", **more: Any) -> dict[str, Any]:
    """Return the body of a draft to chat 42."""
    return {
        "channel": "telegram", "recipient_ref": "42", "payload": {"text": "Hello"}, "idempotency_key": key,
    } | more  # fmt: skip


async def draft(person: Person, key: str = "key", **more: Any) -> dict[str, Any]:
    """Create a draft."""
    response = await person.client.post("/outbound/draft", json=draft_body(key, **more))
    assert response.status_code == 201, response.text
    return response.json()["outbound"]


async def draft_and_approve(person: Person, key: str = "key", **more: Any) -> dict[str, Any]:
    """Create an approved message."""
    message = await draft(person, key, **more)
    response = await person.client.post(f"/outbound/{message['id']}/approve")
    assert response.status_code == 200, response.text
    return response.json()["outbound"]


async def error_code(person: Person, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Return status and error code of a POST that is refused."""
    response = await person.client.post(path, json=body or {})
    return response.status_code, response.json().get("error")
