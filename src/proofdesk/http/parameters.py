"""Types of parameters and body fields that several routes share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from proofdesk.core.paging import MAX_LIMIT, MAX_OFFSET, MAX_SHORT_LIMIT
from proofdesk.errors import Invalid
from proofdesk.evidence.references import MAX_REFERENCES


@dataclass(frozen=True)
class Clamp:
    """For numbers in a query string: a number out of range counts as the nearest number in range."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that moves the number into the range."""
        return core_schema.no_info_after_validator_function(self._clamp, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe the range in words, because a number beyond it is not refused."""
        text = f"{self.least} to {self.most}. A number out of range counts as the nearest in range."
        return handler(schema) | {"description": text}

    def _clamp(self, number: float | None) -> float | None:
        return None if number is None else max(self.least, min(self.most, number))


def json_schema(**schema: Any) -> Any:
    """Describe a field with this JSON schema, because the handler checks it and has its own error code."""

    def replace(field: dict[str, Any]) -> None:
        for name in ("anyOf", "default"):
            field.pop(name, None)
        field.update(schema)

    return replace


def parse_time(name: str, text: str) -> datetime:
    """Return the time in a query string or form; without a zone it is UTC. Raises `Invalid`."""
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        time = datetime.fromisoformat(text.strip().replace(" ", "+"))
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"`{name}` must be a time such as 2026-01-31T12:00:00Z.") from error


def _assume_utc(time: datetime | None) -> datetime | None:
    return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)


_GLOBAL_ID = ":[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[1-9][0-9]{0,17}:[1-9][0-9]{0,17}$"
UuidText = Annotated[str, Field(json_schema_extra=json_schema(format="uuid"))]
ConversationId = Annotated[str, Field(json_schema_extra=json_schema(pattern=f"^cw{_GLOBAL_ID}"))]
ContactId = Annotated[str, Field(json_schema_extra=json_schema(pattern=f"^cwc{_GLOBAL_ID}"))]
OptionalTime = Annotated[datetime | None, AfterValidator(_assume_utc)]

# `evidence.references` checks evidence references and has its own error code.
REFERENCES: dict[str, Any] = {
    "type": "array",
    "maxItems": MAX_REFERENCES,
    "items": {
        "type": "object",
        "properties": {
            "source": {"enum": ["cw_messages", "cw_conversations", "rag_chunks", "commitments", "external"]},
            "ref": {"type": "string", "minLength": 1, "maxLength": 500},
            "snippet": {"type": "string"},
            "meta": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["source", "ref"],
        "additionalProperties": False,
    },
}

Limit = Annotated[int, Clamp(1, MAX_LIMIT)]
ShortLimit = Annotated[int, Clamp(1, MAX_SHORT_LIMIT)]
Offset = Annotated[int, Clamp(0, MAX_OFFSET)]
