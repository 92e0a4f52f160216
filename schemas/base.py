"""The two kinds of model: what we write is closed, what we read is open."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def _every_field_is_present(schema: dict[str, Any]) -> None:
    """A written record always carries all of its fields, so its schema requires all of them."""
    schema["required"] = list(schema.get("properties", {}))


class Written(BaseModel):
    """A record newsieve writes: frozen, no unknown field, every field always present."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        json_schema_extra=_every_field_is_present,
    )


class Read(BaseModel):
    """A record newsieve reads from others: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)
