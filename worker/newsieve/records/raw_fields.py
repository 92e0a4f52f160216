"""Reads the fields of a raw record that matter out of its JSON; whatever else is in it is checked
and passed over.

No object is made of what nobody reads: a record of brackets costs what a record of letters costs.
It knows what a field may be in JSON, and nothing of what an article is.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from newsieve.errors import DecodeError, InvalidJson, NonFiniteNumber, NotAnObject
from newsieve.records.json_parsing import (
    BYTE_ORDER_MARK,
    require_shallow,
    require_size,
    require_utf8,
)
from newsieve.records.json_scan import without_lone_surrogates
from newsieve_schemas.article import MAX_ID_CHARACTERS, MAX_TAG_CHARACTERS, MAX_TAGS

# An empty value of each kind, by the first byte; digits and signs are missing.
_KINDS: Final[dict[bytes, Any]] = {
    b'"': "",
    b"{": {},
    b"[": [],
    b"t": True,
    b"f": False,
    b"n": None,
}
_INTEGER: Final = re.compile(rf"-?[0-9]{{1,{MAX_ID_CHARACTERS}}}")
_NON_FINITE: Final = re.compile(rb"NaN|-?Infinity")
_COMPLAINT: Final = re.compile(r"(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?")
_NO_VALUE: Final = "invalid character"
# Their JSON: all characters escaped as pairs, and as much again of white space and commas.
_MAX_TAGS_BYTES: Final = 2 * MAX_TAGS * MAX_TAG_CHARACTERS * len(r"\ud800\udc00")


class RawFields(Struct, gc=False):
    """The fields of a raw article, or of the CloudEvent around it. A value of a wrong kind is there
    as an empty one of its kind, a number that is no id as 0.0."""

    id: str | int | None = None
    title: str | None = None
    content: str | None = None
    text: str | None = None
    body: str | None = None
    url: str | None = None
    source: str | UnsetType | None = UNSET
    language: str | None = None
    published_at: str | None = None
    published_date: str | None = None
    tags: Raw | UnsetType = UNSET
    specversion: Raw | UnsetType = UNSET
    type: Raw | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    data_base64: Raw | UnsetType = UNSET


_RAW_NAMES: Final = ("tags", "specversion", "type", "data", "data_base64")
_Unread: Final = msgspec.defstruct(
    "_Unread", [(name, Raw | UnsetType, UNSET) for name in RawFields.__struct_fields__], gc=False
)
_AS_USUAL: Final = msgspec.json.Decoder(RawFields)
_UNREAD: Final = msgspec.json.Decoder(_Unread)
_ANY: Final = msgspec.json.Decoder(Raw)
_STRING: Final = msgspec.json.Decoder(str)
_Tag = Annotated[str, Meta(max_length=MAX_TAG_CHARACTERS)]
_TAGS: Final = msgspec.json.Decoder(Annotated[list[_Tag], Meta(max_length=MAX_TAGS)] | None)


def read_fields(value: bytes, max_bytes: int) -> RawFields:
    """Read the fields of a record. Raises DecodeError."""
    require_size(value, max_bytes)
    require_utf8(value)
    require_shallow(value)
    try:
        return _AS_USUAL.decode(value)
    except msgspec.DecodeError:  # or a field of a wrong kind, which is one to msgspec
        return _read_kind_by_kind(value)


def text_of(raw: Raw) -> str | None:
    """The field's string, None if it is none."""
    return _STRING.decode(raw) if bytes(memoryview(raw)[:1]) == b'"' else None


def are_tags(raw: Raw | UnsetType) -> bool:
    """Whether the field is a list of texts within the limits, or missing."""
    if raw is UNSET:
        return True
    if len(memoryview(raw)) > _MAX_TAGS_BYTES:
        return False
    try:
        _TAGS.decode(raw)
    except msgspec.DecodeError:
        return False
    return True


def kind_of(raw: Raw) -> Any:
    """An empty value of the same kind."""
    return _KINDS.get(bytes(memoryview(raw)[:1]), 0.0)


def _read_kind_by_kind(value: bytes) -> RawFields:
    """Read what the usual way does not take: a byte order mark, lone surrogates, wrong kinds."""
    value = without_lone_surrogates(value.removeprefix(BYTE_ORDER_MARK))
    try:
        unread = _UNREAD.decode(value)
    except msgspec.ValidationError:
        raise _no_object(value) from None
    except msgspec.DecodeError as error:
        raise _no_json(value, error) from None
    found = {name: getattr(unread, name) for name in RawFields.__struct_fields__}
    return RawFields(
        **{
            name: raw if name in _RAW_NAMES else _value_of(raw)
            for name, raw in found.items()
            if raw is not UNSET
        }
    )


def _value_of(raw: Raw) -> Any:
    text = text_of(raw)
    if text is not None:
        return text
    number = bytes(memoryview(raw)[: MAX_ID_CHARACTERS + 2]).decode()
    return int(number) if _INTEGER.fullmatch(number) else kind_of(raw)


def _no_object(value: bytes) -> DecodeError:
    try:
        raw = _ANY.decode(value)
    except msgspec.DecodeError as error:
        return _no_json(value, error)
    return NotAnObject(f"a JSON {json_name(kind_of(raw))}, not an object")


def _no_json(value: bytes, error: msgspec.DecodeError) -> DecodeError:
    what, place = _COMPLAINT.fullmatch(str(error)).groups()  # type: ignore[union-attr]
    if place is None:
        return InvalidJson(f"not JSON: {what[0].lower()}{what[1:]}")
    at = int(place)
    sign = value.startswith(b"-", at - 1) if at else False
    found = _NON_FINITE.match(value, at - sign) if what == _NO_VALUE else None
    if found is not None:
        return NonFiniteNumber(f"{found[0].decode()} is not JSON")
    return InvalidJson(f"not JSON: {what} at byte {at + 1}")


def json_name(value: Any) -> str:
    """The kind of a value, as JSON calls it."""
    if value is None:
        return "null"
    names = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")
