"""Loading a corpus file. The corpus itself is not part of the repository."""

import gzip
import json
from pathlib import Path

import httpx2

from proofdesk_simulators.chatwoot import build

from .conftest import connect

LINES = [
    {
        "conversation_id": "one-1",
        "contact": {"name": "Ada", "email": "ada@example.org", "phone": "+15550101"},
        "inbox": "front",
        "status": "resolved",
        "labels": ["front", "vip"],
        "started_at": "2025-01-01T10:00:00Z",
        "messages": [
            {"sender": "contact", "text": "Hello", "at": "2025-01-01T10:00:00Z"},
            {"sender": "agent", "text": "Good morning", "at": "2025-01-01T10:05:00Z"},
            {"sender": "system", "text": "Closed", "at": "2025-01-01T10:06:00Z"},
        ],
    },
    {
        "conversation_id": "one-2",
        "contact": {"name": "Ada", "email": "ada@example.org", "phone": "+15550101"},
        "inbox": "back",
        "status": "open",
        "labels": [],
        "started_at": "2025-01-01T10:01:00Z",
        "messages": [{"sender": "contact", "text": "Also this", "at": "2025-01-01T10:01:00Z"}],
    },
]


def test_corpus_lines_become_conversations_with_their_times(tmp_path: Path):
    file = tmp_path / "two.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(line) + "\n" for line in LINES)
    simulator = build(file)
    truth = simulator.truth()
    assert truth["counts"]["contacts"] == 1
    assert [row["status"] for row in truth["conversations"]] == ["resolved", "open"]
    assert [row["custom_attributes"]["corpus_id"] for row in truth["conversations"]] == ["one-1", "one-2"]
    assert [(m["conversation_id"], m["id"], m["message_type"]) for m in truth["messages"]] == [
        (1, 1001, 0),
        (1, 1003, 1),
        (1, 1004, 2),
        (2, 1002, 0),
    ]
    assert truth["messages"][0]["created_at"] == 1_735_725_600
    row = truth["conversations"][0]
    assert (row["waiting_since"], row["first_reply_created_at"]) == (0, 1_735_725_900)


def test_the_small_corpus_is_served(corpus_folder: Path):
    simulator = build(corpus_folder / "small.jsonl")
    counts = simulator.truth(rows=False)["counts"]
    assert (counts["conversations"], counts["messages"]) == (67, 987)
    assert len(simulator.account().inboxes) == 12
    with connect(simulator) as client:
        found: list[int] = []
        for page in range(1, 5):
            answer = client.get(f"/conversations?status=all&sort_by=created_at_asc&page={page}").json()
            found += [row["id"] for row in answer["data"]["payload"]]
        assert found == sorted(simulator.account().conversations)
        assert _read_all(client, found) == 987


def test_the_whole_corpus_loads(corpus_folder: Path):
    counts = build(corpus_folder / "conversations.jsonl.gz").truth(rows=False)["counts"]
    assert (counts["conversations"], counts["messages"], counts["contacts"]) == (8362, 146_168, 3385)
    assert counts["by_status"] == {"resolved": 6499, "open": 1395, "pending": 310, "snoozed": 158}
    assert counts["by_message_type"] == {"incoming": 68_804, "outgoing": 71_870, "activity": 5494}


def _read_all(client: httpx2.Client, numbers: list[int]) -> int:
    count = 0
    for number in numbers:
        after, rows = 0, [{"id": 0}] * 100
        while len(rows) == 100:
            rows = client.get(f"/conversations/{number}/messages?after={after}").json()["payload"]
            count += len(rows)
            after = rows[-1]["id"] if rows else after
    return count
