"""The kinds of model: what we write is closed, what we read is open, headers are strings.

And how values are read that other programs write: ids as numbers, whole numbers as 6.0.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.config import ExtraValues


def _every_field_is_present(schema: dict[str, Any]) -> None:
    """A written record always carries all of its fields, so its schema requires all of them."""
    schema["required"] = list(schema.get("properties", {}))


class Written(BaseModel):
    """A record newsieve writes: frozen, no unknown field, every field always present.

    Who reads one as JSON is not stopped by a field that a later version added.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra=_every_field_is_present,
    )

    @classmethod
    def model_validate_json(
        cls,
        json_data: str | bytes | bytearray,
        *,
        strict: bool | None = None,
        extra: ExtraValues | None = "ignore",
        context: Any | None = None,
        by_alias: bool | None = None,
        by_name: bool | None = None,
    ) -> Self:
        """Read a record's value; raises pydantic.ValidationError.

        With `extra="forbid"` an unknown field is an error, too.
        """
        return super().model_validate_json(
            json_data,
            strict=strict,
            extra=extra,
            context=context,
            by_alias=by_alias,
            by_name=by_name,
        )


def _as_on_the_wire(schema: dict[str, Any]) -> None:
    """Headers are strings; one without a value is absent; others may travel beside ours."""
    del schema["additionalProperties"]
    properties = schema["properties"]
    schema["required"] = [name for name, item in properties.items() if "default" not in item]
    for item in properties.values():
        if "anyOf" in item or item.get("type") == "integer":
            pattern = {"pattern": "^[0-9]+$"} if item.get("type") == "integer" else {}
            for key in ("anyOf", "default", "minimum"):
                item.pop(key, None)
            item.update({"type": "string"} | pattern)


class WrittenHeaders(Written):
    """Headers of a record newsieve writes, as text; its schema describes them on the wire."""

    model_config = ConfigDict(populate_by_name=True, json_schema_extra=_as_on_the_wire)


class Read(BaseModel):
    """A record newsieve reads from others: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


def id_text(value: object) -> str | None:
    """Return an id as newsieve's records have it, integers in decimal; None for what is no id."""
    if type(value) is str:
        return value
    return str(value) if type(value) is int else None


def whole(value: Any) -> Any:
    """Return 6.0 as 6, and anything else as it is."""
    return int(value) if type(value) is float and value.is_integer() else value
