"""A Chatwoot and an embedding provider that are never the bottleneck: prepared responses from a process of its own.

python -m bench.upstream --conversations 2000 [--delay 50]     prints its port; GET /requests returns the count
"""

import argparse
import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

MESSAGES = 32  # per conversation
DIMENSION = 1536
_LISTED, _CONTACTS = 25, 15  # per page
_START = 1_700_000_000
_SECONDS = 60  # between messages
_TEXTS = (
    "Hello, the banners that we ordered last week have not arrived yet. Can you tell me where they are?",
    "Thank you for writing to us. Your parcel left our workshop on Tuesday and should be with you by tomorrow.",
    "It came today, but two of the four roll-ups have a scratch across the logo. I have attached photographs.",
    "I am sorry to hear that. We will print both again at no cost and send them by courier this afternoon.",
)


@contextlib.contextmanager
def running(conversations: int = 0, delay: float = 0) -> Iterator[str]:
    """Start the process and yield its base URL. Each response takes `delay` seconds."""
    command = [sys.executable, "-m", "bench.upstream", f"--conversations={conversations}", f"--delay={delay * 1000}"]
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def requests(url: str) -> int:
    """Return the number of requests so far."""
    with urllib.request.urlopen(f"{url}/requests") as response:
        return int(response.read())


class Upstream:
    """The responses. `conversations` is the number of conversations, each with its own contact."""

    def __init__(self, conversations: int):
        self.conversations = conversations
        self.requests = 0

    def respond(self, target: str, body: bytes) -> bytes:
        """Return the body of the response to one request."""
        url = urlsplit(target)
        if url.path == "/requests":
            return b"%d" % self.requests
        self.requests += 1
        if url.path.endswith("/embeddings"):
            return _embeddings(len(json.loads(body)["input"]))
        params = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.endswith("/inboxes"):
            return _INBOXES
        if url.path.endswith("/messages"):
            return self._messages(int(url.path.split("/")[-2]), int(params["after"]), int(params["before"]))
        if url.path.endswith("/contacts"):
            return self._contacts(int(params["page"]))
        return self._conversation_list(params)

    def _conversation_list(self, params: dict[str, str]) -> bytes:
        if "updated_within" in params:
            return _LIST % (self.conversations, b"")
        numbers: Iterable[int] = _of_page(int(params["page"]), _LISTED, self.conversations)
        if params["sort_by"] != "created_at_asc":
            numbers = [self.conversations + 1 - number for number in numbers]
        return _LIST % (self.conversations, b",".join(map(_conversation, numbers)))

    def _messages(self, conversation: int, first: int, end: int) -> bytes:
        numbers = range(max(first, (conversation - 1) * MESSAGES + 1), min(end, conversation * MESSAGES + 1))
        views = [_MESSAGES[n % len(_MESSAGES)] % (n, conversation, _START + n * _SECONDS) for n in numbers]
        return b'{"meta":{},"payload":[%s]}' % b",".join(views)

    def _contacts(self, page: int) -> bytes:
        views = [_CONTACT % {b"id": number} for number in _of_page(page, _CONTACTS, self.conversations)]
        return b'{"meta":{"count":%d},"payload":[%s]}' % (self.conversations, b",".join(views))


_INBOXES = b'{"payload":[{"id":1,"name":"E-mail","channel_type":"Channel::Email"}]}'
_LIST = b'{"data":{"meta":{"mine_count":0,"all_count":%d},"payload":[%s]}}'
_CONTACT = (
    b'{"additional_attributes":{"city":"Bern"},"availability_status":"offline","email":"person%(id)d@example.com",'
    b'"id":%(id)d,"name":"Person %(id)d","phone_number":null,"blocked":false,"identifier":null,"thumbnail":"",'
    b'"custom_attributes":{},"created_at":1700000000}'
)
_SENDERS = (
    b'"sender":{"additional_attributes":{"city":"Bern"},"custom_attributes":{},"email":"person@example.com","id":7,'
    b'"identifier":null,"name":"Person","phone_number":null,"thumbnail":"","blocked":false,"type":"contact"}',
    b'"sender":{"id":2,"name":"Agent","available_name":"Agent","avatar_url":"","type":"user",'
    b'"availability_status":"online","thumbnail":""}',
)
_MESSAGE = (
    b'{"id":%%d,"content":"%s","inbox_id":1,"conversation_id":%%d,"message_type":%d,"content_type":"text",'
    b'"status":"sent","content_attributes":{},"created_at":%%d,"private":false,"source_id":null,%s}'
)
_MESSAGES = [_MESSAGE % (_TEXTS[n % 4].encode(), n % 2, _SENDERS[n % 2]) for n in range(4)]
_NEWEST = (
    b'{"id":%(newest)d,"content":"See you.","account_id":1,"inbox_id":1,"conversation_id":%(id)d,"message_type":0,'
    b'"created_at":%(at)d,"updated_at":"2023-11-14T22:13:20.000Z","private":false,"status":"sent","source_id":null,'
    b'"content_type":"text","content_attributes":{},"sender_type":"Contact","sender_id":%(id)d,'
    b'"external_source_ids":{},"additional_attributes":{},"processed_message_content":"See you.","sentiment":{},'
    b'"conversation":{"assignee_id":2,"unread_count":0,"last_activity_at":%(at)d}}'
)
_CONVERSATION = (
    b'{"meta":{"sender":' + _CONTACT + b',"channel":"Channel::Email","assignee":{"id":2,'
    b'"account_id":1,"name":"Agent","role":"agent","email":"agent@example.com","thumbnail":""},"hmac_verified":false},'
    b'"id":%(id)d,"messages":[' + _NEWEST + b'],"account_id":1,"uuid":"00000000-0000-4000-8000-%(id)012d",'
    b'"additional_attributes":{"mail_subject":"Order %(id)d"},"agent_last_seen_at":%(at)d,"can_reply":true,'
    b'"custom_attributes":{},"inbox_id":1,"labels":["order"],"muted":false,"snoozed_until":null,"status":"resolved",'
    b'"created_at":%(at)d,"updated_at":%(at)d.5,"timestamp":%(at)d,"first_reply_created_at":%(at)d,"unread_count":0,'
    b'"last_non_activity_message":' + _NEWEST + b',"last_activity_at":%(at)d,"priority":null,"waiting_since":0,'
    b'"sla_policy_id":null}'
)


def _of_page(page: int, size: int, most: int) -> range:
    return range((page - 1) * size + 1, min(page * size, most) + 1)


def _conversation(number: int) -> bytes:
    newest = number * MESSAGES
    return _CONVERSATION % {b"id": number, b"newest": newest, b"at": _START + newest * _SECONDS}


@cache
def _embeddings(count: int) -> bytes:
    """Return vectors in the format that OpenAI's client requests."""
    random = np.random.default_rng(1)
    vectors = random.standard_normal((count, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [
        {"object": "embedding", "index": n, "embedding": base64.b64encode(vector.tobytes()).decode()}
        for n, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return json.dumps({"object": "list", "data": rows, "model": "text-embedding-3-small", "usage": usage}).encode()


class _Connection(asyncio.Protocol):
    """One keep-alive connection. A request gets its response when it is complete."""

    def __init__(self, upstream: Upstream, delay: float):
        self._upstream, self._delay = upstream, delay
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = bytes(self._received[:end])
        _, _, length = head.lower().partition(b"content-length:")
        whole = end + int(length.split(b"\r\n")[0] or 0)
        if len(self._received) < whole:
            return
        body = self._upstream.respond(head.split(b" ", 2)[1].decode(), bytes(self._received[end:whole]))
        del self._received[:whole]
        payload = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, payload)
        else:
            self._transport.write(payload)


async def _serve(upstream: Upstream, delay: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(upstream, delay), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Respond like a Chatwoot and an embedding provider.")
    parser.add_argument("--conversations", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds")
    options = parser.parse_args()
    asyncio.run(_serve(Upstream(options.conversations), options.delay / 1000))


if __name__ == "__main__":
    main()
