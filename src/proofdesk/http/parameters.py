"""Types of parameters and body fields that several routes share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from proofdesk.errors import Invalid


@dataclass(frozen=True)
class Clamp:
    """For numbers in query strings: what is out of range counts as the nearest number in it, so it is no bound."""

    least: int
    most: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The number, drawn into the range."""
        return core_schema.no_info_after_validator_function(self._near, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Said in words: a number beyond the range is not refused."""
        return handler(schema) | {"description": f"{self.least} to {self.most}; beyond counts as the nearest."}

    def _near(self, number: float | None) -> float | None:
        return None if number is None else max(self.least, min(self.most, number))


def json_schema(**schema: Any) -> Any:
    """For a field that is described as this; the handler refuses other forms with a code of its own."""

    def describe(field: dict[str, Any]) -> None:
        for name in ("anyOf", "default"):
            field.pop(name, None)
        field.update(schema)

    return describe


_GLOBAL = ":[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[1-9][0-9]{0,17}:[1-9][0-9]{0,17}$"
UuidText = Annotated[str, Field(json_schema_extra=json_schema(format="uuid"))]
ConversationId = Annotated[str, Field(json_schema_extra=json_schema(pattern=f"^cw{_GLOBAL}"))]
ContactId = Annotated[str, Field(json_schema_extra=json_schema(pattern=f"^cwc{_GLOBAL}"))]

# What events and messages rest on; `audit.evidence` checks each, with a code of its own.
REFERENCES: dict[str, Any] = {
    "type": "array",
    "maxItems": 50,
    "items": {
        "type": "object",
        "properties": {
            "source": {"enum": ["cw_messages", "cw_conversations", "rag_chunks", "external"]},
            "ref": {"type": "string", "minLength": 1, "maxLength": 500},
            "snippet": {"type": "string"},
            "meta": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["source", "ref"],
        "additionalProperties": False,
    },
}

Limit = Annotated[int, Clamp(1, 500)]
Offset = Annotated[int, Clamp(0, 10_000_000)]


def parse_time(name: str, text: str) -> datetime:
    """A time of a query string or form; without a zone it is UTC. Raises `Invalid`."""
    try:
        time = datetime.fromisoformat(text.strip().replace(" ", "+"))  # a plus sign that nobody encoded
        return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} is a time such as 2026-01-31T12:00:00Z.") from error
