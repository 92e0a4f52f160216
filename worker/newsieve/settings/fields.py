"""The section `worker.fields` of the settings: what the fields of incoming records are called.

It knows names only; what becomes of their values, `records.decode` knows.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from newsieve.records.field_names import DEFAULT_NAMES, ENVELOPE_NAMES, FieldNames
from newsieve.settings.base import FromCommas, Section

Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], FromCommas, Field(min_length=1, max_length=50)]


class FieldSettings(Section):
    """The names that each field of an article may have in a record, in the order of trust: the
    first one with anything in it counts."""

    id: Names = DEFAULT_NAMES.id
    title: Names = DEFAULT_NAMES.title
    content: Names = DEFAULT_NAMES.content
    url: Names = DEFAULT_NAMES.url
    source: Names = DEFAULT_NAMES.source
    language: Names = DEFAULT_NAMES.language
    published_at: Names = DEFAULT_NAMES.published_at

    @property
    def names(self) -> FieldNames:
        """The names as the decoder takes them."""
        return FieldNames(**self.model_dump())

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        unknown = sorted(set(value) - set(cls.model_fields)) if isinstance(value, dict) else []
        if unknown:
            raise ValueError(
                f"an article has no field {unknown[0]!r:.60}; it has {', '.join(cls.model_fields)}"
            )
        return value

    @field_validator("*")
    @classmethod
    def _usable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("name each name once")
        reserved = [name for name in value if name in (*ENVELOPE_NAMES, "tags")]
        if reserved:
            raise ValueError(f"{reserved[0]} is a name that envelopes, or tags, have already")
        return value
