"""How values look in an answer."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from starlette.types import Message

from proofdesk import logging
from proofdesk.http.responses import Envelope, success


@dataclass(frozen=True)
class Row:
    id: UUID
    at: datetime
    attributes: dict[str, Any]


async def _sent(answer: Envelope, request_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        messages.append(message)

    with logging.bind_context(request_id=request_id):
        await answer({"type": "http"}, receive, send)
    begun, body = messages
    headers = {name.decode(): value.decode() for name, value in begun["headers"]}
    assert int(headers["content-length"]) == len(body["body"])
    return json.loads(body["body"]), headers


async def test_rows_are_objects_times_in_utc_and_ids_text():
    at = datetime(2026, 3, 2, 9, 0, 0, 120_000, tzinfo=ZoneInfo("UTC"))
    told, headers = await _sent(success(row=Row(UUID(int=7), at, {"tier": "vip"})), "one")
    expected = {"id": str(UUID(int=7)), "at": "2026-03-02T09:00:00.120000Z", "attributes": {"tier": "vip"}}
    assert told == {"ok": True, "row": expected, "request_id": "one"}
    assert headers["content-type"] == "application/json"


async def test_numbers_that_customers_attributes_hold_are_kept_however_long():
    told, _ = await _sent(success(attributes={"card": 12345678901234567890123}), "one")
    assert told["attributes"]["card"] == 12345678901234567890123


async def test_one_answer_is_sent_to_each_who_asked_with_the_id_of_his_request():
    answer = success(found=[1, 2])
    first, second = await _sent(answer, 'said "one"'), await _sent(answer, "two")
    assert [told["request_id"] for told, _ in (first, second)] == ['said "one"', "two"]
    assert first[0]["found"] == second[0]["found"] == [1, 2]
