"""How values are encoded in a JSON response."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field

from proofdesk import logging
from proofdesk.http.responses import failure, success
from proofdesk.http.schemas import row_schema, to_answer


@dataclass(frozen=True)
class Row:
    id: UUID
    at: datetime
    attributes: dict[str, Any]
    note: str | None = None


class RowSchema(row_schema(Row, omit=("attributes",))):
    """A row."""

    global_id: str = Field(description="`row:<id>`")


def test_rows_are_objects_times_are_utc_and_ids_are_strings():
    at = datetime(2026, 3, 2, 9, 0, 0, 120_000, tzinfo=ZoneInfo("UTC"))
    with logging.bind_context(request_id="one"):
        response = success(row=Row(UUID(int=7), at, {"tier": "vip"}))
    expected = {"id": str(UUID(int=7)), "at": "2026-03-02T09:00:00.120000Z", "attributes": {"tier": "vip"}}
    assert json.loads(bytes(response.body)) == {"ok": True, "row": expected | {"note": None}, "request_id": "one"}
    assert response.headers["content-type"] == "application/json"


def test_long_numbers_in_attributes_keep_every_digit():
    response = success(attributes={"card": 12345678901234567890123})
    assert json.loads(bytes(response.body))["attributes"]["card"] == 12345678901234567890123


def test_a_failure_names_its_runbook_and_the_request():
    with logging.bind_context(request_id='with "quotes"'):
        content = json.loads(bytes(failure(401, "unauthorized", "Sign in first.").body))
    assert content["details"] == {"runbook": "auth-loop"} and content["request_id"] == 'with "quotes"'
    assert "details" not in json.loads(bytes(failure(400, "invalid_json", "The body is not JSON.").body))


def test_a_schema_has_the_required_fields_of_its_row():
    described = RowSchema.model_json_schema()
    assert described["properties"].keys() == {"id", "at", "note", "global_id"}
    assert set(described["required"]) == {"id", "at", "note", "global_id"}
    assert described["properties"]["at"] == {"format": "date-time", "title": "At", "type": "string"}


def test_an_answer_has_the_fields_of_its_schema():
    row = Row(UUID(int=7), datetime(2026, 3, 2, tzinfo=ZoneInfo("UTC")), {"secret": "not in the schema"})
    assert to_answer(RowSchema, row, global_id="row:7") == {
        "global_id": "row:7",
        "id": row.id,
        "at": row.at,
        "note": None,
    }
