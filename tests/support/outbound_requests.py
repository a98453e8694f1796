"""Requests to the outbound routes."""

from typing import Any

from tests.support.server import Person


def draft_body(key: str = "key", **more: Any) -> dict[str, Any]:
    """A wish for a message to chat 42."""
    return {
        "channel": "telegram", "recipient_ref": "42", "payload": {"text": "Hello"}, "idempotency_key": key,
    } | more  # fmt: skip


async def draft(person: Person, key: str = "key", **more: Any) -> dict[str, Any]:
    """A draft."""
    made = await person.client.post("/outbound/draft", json=draft_body(key, **more))
    assert made.status_code == 201, made.text
    return made.json()["outbound"]


async def draft_and_approve(person: Person, key: str = "key", **more: Any) -> dict[str, Any]:
    """An approved message."""
    made = await draft(person, key, **more)
    answer = await person.client.post(f"/outbound/{made['id']}/approve")
    assert answer.status_code == 200, answer.text
    return answer.json()["outbound"]


async def error_code(person: Person, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    """Status and code of a POST that is refused."""
    answer = await person.client.post(path, json=body or {})
    return answer.status_code, answer.json().get("error")
