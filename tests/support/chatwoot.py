"""A simulated Chatwoot on a port, the client of the product, and comparisons of both sides."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app
from proofdesk_simulators.serving import running


@pytest.fixture
def simulator() -> Iterator[ChatwootSimulator]:
    """Create an installation with one account and one empty inbox."""
    made = build("empty")
    yield made
    made.close()


@pytest.fixture
def studio() -> Iterator[ChatwootSimulator]:
    """Create an installation with the sample studio."""
    made = build("studio")
    yield made
    made.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., ChatwootClient]]:
    """Return a function that serves a simulator and opens a client. Both are closed after the test."""
    opened: list[tuple[Any, ChatwootClient]] = []

    def open_client(simulator: ChatwootSimulator, patience: float = 5.0) -> ChatwootClient:
        server = running(create_app(simulator))
        client = ChatwootClient(server.__enter__(), simulator.admin_token, retry_timeout=patience)
        opened.append((server, client))
        return client

    yield open_client
    for server, client in opened:
        await client.aclose()
        server.__exit__(None, None, None)


def create_conversations(simulator: ChatwootSimulator, conversations: int, messages: int = 3) -> list[int]:
    """Create conversations with messages a second apart that end an hour ago. Return their ids."""
    at = int(simulator.clock.now()) - 3600 - conversations * messages
    ids = []
    for number in range(conversations):
        made = simulator.create_conversation(1, contact_name=f"Visitor {number}", at=at)
        for text in range(messages):
            at += 1
            kind = "incoming" if text % 2 == 0 else "outgoing"
            simulator.append_message(made.id, f"Message {text} of conversation {number}", message_type=kind, at=at)
        ids.append(made.id)
    return ids


def chatwoot_content(simulator: ChatwootSimulator) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Return Chatwoot's conversations (id, status, labels, assignee) and messages (id, conversation, text, deleted)."""
    truth = simulator.truth()
    return (
        {
            (c["id"], c["status"], tuple(c["labels"]), c["meta"].get("assignee", {}).get("id"))
            for c in truth["conversations"]
        },
        {
            (m["id"], m["conversation_id"], m["content"], m["content_attributes"].get("deleted") is True)
            for m in truth["messages"]
        },
    )


def stored_content(conn: psycopg.Connection) -> tuple[set[tuple[Any, ...]], set[tuple[Any, ...]]]:
    """Return the same of the stored rows. Fails if a row is stored twice."""
    conversations = conn.execute("SELECT conversation_id, status, labels, assignee_id FROM cw_conversations").fetchall()
    messages = conn.execute("SELECT message_id, conversation_id, content, deleted FROM cw_messages").fetchall()
    found = {(i, status, tuple(labels), who) for i, status, labels, who in conversations}, set(messages)
    assert (len(found[0]), len(found[1])) == (len(conversations), len(messages))
    return found
