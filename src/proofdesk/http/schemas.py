"""Schemas of the OpenAPI document: the envelope of every answer, and schemas derived from row types."""

from typing import Any

from pydantic import BaseModel, Field, create_model


class FailureSchema(BaseModel):
    """What every error looks like."""

    ok: bool = Field(False, description="Always false.")
    error: str = Field(description="A fixed code, for programs.")
    message: str = Field(description="What is wrong and what to do, for a person.")
    request_id: str
    details: dict[str, Any] | None = None


def optional_field(kind: Any) -> tuple[Any, Any]:
    """A field of a shape that is left out where there is nothing to tell."""
    return kind, Field(None, json_schema_extra=_without_default)


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def envelope_schema(name: str, **fields: Any) -> type[BaseModel]:
    """The documented form of a success: the envelope with these fields."""
    inside: dict[str, Any] = {key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in fields.items()}
    return create_model(name, ok=(bool, ...), **inside, request_id=(str, ...))
