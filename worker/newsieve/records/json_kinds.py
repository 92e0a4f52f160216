"""Tells the kind of a JSON value by its first byte, and reads strings, without parsing all else."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

# An empty value of each kind, by the first byte; digits and signs are missing.
_KINDS: Final[dict[bytes, Any]] = {
    b'"': "",
    b"{": {},
    b"[": [],
    b"t": True,
    b"f": False,
    b"n": None,
}
_STRING: Final = msgspec.json.Decoder(str)


def text_of(raw: Raw | bytes) -> str | None:
    """Return the value's string, None for a value of another kind."""
    return _STRING.decode(raw) if bytes(memoryview(raw)[:1]) == b'"' else None


def kind_of(raw: Raw | bytes) -> Any:
    """Return an empty value of the same kind."""
    return _KINDS.get(bytes(memoryview(raw)[:1]), 0.0)


def json_name(value: Any) -> str:
    """Return the kind of a value, as JSON calls it."""
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")
