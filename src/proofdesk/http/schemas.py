"""Schemas of the OpenAPI document: the envelope of every answer, and schemas derived from row types."""

import dataclasses
from collections.abc import Collection
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model


class FailureSchema(BaseModel):
    """The form of every error."""

    model_config = ConfigDict(title="Failure")

    ok: bool = Field(False, description="Always false.")
    error: str = Field(description="A fixed code, for programs.")
    message: str = Field(description="What is wrong and what to do, for a person.")
    request_id: str
    details: dict[str, Any] | None = None


def schema(name: str, **fields: Any) -> type[BaseModel]:
    """Return the schema of a successful answer: the envelope with these fields, each a type or `optional_field`."""
    inner: dict[str, Any] = {key: kind if isinstance(kind, tuple) else (kind, ...) for key, kind in fields.items()}
    return create_model(name, ok=(bool, ...), **inner, request_id=(str, ...))


def optional_field(kind: Any) -> tuple[Any, Any]:
    """Return a field for `schema` that an answer omits when it has no value."""
    return kind, Field(None, json_schema_extra=_remove_default)


def row_schema(row: type, *, omit: Collection[str] = ()) -> type[BaseModel]:
    """Return a base class with a required field for each field of a row type, apart from the omitted ones.

    A subclass adds computed fields, descriptions and narrower types:

        class ContactSchema(row_schema(ContactRow)):
            id: str = Field(description="…")
    """
    types = get_type_hints(row, include_extras=True)
    if unknown := set(omit) - types.keys():
        raise ValueError(f"{row.__name__} has no field {', '.join(sorted(unknown))}.")
    names = [field.name for field in dataclasses.fields(row) if field.name not in omit]
    fields: dict[str, Any] = {name: (types[name], ...) for name in names}
    return create_model(f"{row.__name__}Fields", **fields)


def to_answer(model: type[BaseModel], row: Any, **computed: Any) -> dict[str, Any]:
    """Return the fields of a schema for a row: the computed ones as they are given, the others from the row."""
    return computed | {name: getattr(row, name) for name in _field_names(model) if name not in computed}


@cache
def _field_names(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(model.model_fields)


def _remove_default(field: dict[str, Any]) -> None:
    field.pop("default", None)
