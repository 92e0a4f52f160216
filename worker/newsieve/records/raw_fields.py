"""Reads the fields of a raw record that matter out of its JSON; whatever else is in it is checked
and passed over.

No object is made of what nobody reads: a record of brackets costs what a record of letters costs.
It knows what a field may be in JSON and what it may be called, and nothing of what an article is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from newsieve.errors import DecodeError, InvalidJson, NonFiniteNumber, NotAnObject
from newsieve.records.field_names import DEFAULT_NAMES, ENVELOPE_NAMES, FieldNames
from newsieve.records.field_shapes import text_in
from newsieve.records.json_kinds import json_name, kind_of
from newsieve.records.json_parsing import (
    BYTE_ORDER_MARK,
    require_shallow,
    require_size,
    require_utf8,
)
from newsieve.records.json_scan import without_lone_surrogates
from newsieve_schemas.article import (
    MAX_DATE_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_LANGUAGE_CHARACTERS,
    MAX_SOURCE_CHARACTERS,
    MAX_TAG_CHARACTERS,
    MAX_TAGS,
    MAX_TITLE_CHARACTERS,
    MAX_URL_CHARACTERS,
)

STRICT_NAMES: Final = frozenset({"id", "title", "content"})  # of another kind: no article
_INTEGER: Final = re.compile(rf"-?[0-9]{{1,{MAX_ID_CHARACTERS}}}")
_MAX_NUMBER_BYTES: Final = 40  # of a date; a longer number is none
_NON_FINITE: Final = re.compile(rb"NaN|-?Infinity")
_COMPLAINT: Final = re.compile(r"(?:JSON is malformed: )?(.*?)(?: \(byte (\d+)\))?")
_NO_VALUE: Final = "invalid character"
# Their JSON: all characters escaped as pairs, and as much again of white space and commas.
_MAX_TAGS_BYTES: Final = 2 * MAX_TAGS * MAX_TAG_CHARACTERS * len(r"\ud800\udc00")
_RAW_NAMES: Final = ("tags", *ENVELOPE_NAMES)
_PLAIN_NAME: Final = re.compile(r"[a-z][A-Za-z0-9_]{0,60}")
_ANY: Final = msgspec.json.Decoder(Raw)
_Tag = Annotated[str, Meta(max_length=MAX_TAG_CHARACTERS)]
_TAGS: Final = msgspec.json.Decoder(Annotated[list[_Tag], Meta(max_length=MAX_TAGS)] | None)


# In characters. What is longer is null, but for a title and an id, which make a dead letter.
_LIMITS: Final = {
    "id": MAX_ID_CHARACTERS,
    "title": MAX_TITLE_CHARACTERS,
    "url": MAX_URL_CHARACTERS,
    "source": MAX_SOURCE_CHARACTERS,
    "language": MAX_LANGUAGE_CHARACTERS,
    "published_at": MAX_DATE_CHARACTERS,
}
OPTIONAL_FIELDS: Final = ("url", "source", "language", "published_at")

Read = Callable[[Any], tuple[Any, ...]]


class Alternatives(NamedTuple):
    """The names of one field in the order of trust; `read` gives their values in a record."""

    names: tuple[str, ...]
    read: Read


class FieldReader:
    """Reads records whose fields have these names."""

    def __init__(self, names: FieldNames = DEFAULT_NAMES) -> None:
        self.names = names
        by_field = names.by_field()
        firsts = [item[0] for item in by_field.values()]
        all_names = [name for item in by_field.values() for name in item]
        ordered = dict.fromkeys([*firsts, "tags", "source", *all_names, *ENVELOPE_NAMES])
        # In the order in which records usually have them, which is read fastest.
        self._attributes = {
            name: name if _PLAIN_NAME.fullmatch(name) else f"_{place}"  # which no plain name is
            for place, name in enumerate(ordered)
        }
        # A name of two fields is read as the first of them reads it.
        self._field_of = {name: item for item in reversed(by_field) for name in by_field[item]}
        self._struct = self._make_struct("RawFields", self._usual_kind)
        self._as_usual = msgspec.json.Decoder(self._struct)
        self._unread = msgspec.json.Decoder(
            self._make_struct("_Unread", lambda _: (Raw | UnsetType, UNSET))
        )
        self.alternatives = {
            field: Alternatives(item, self._getter(item)) for field, item in by_field.items()
        }
        # The value of each field's first name, in the order of FieldNames; and those of all other
        # names of the optional fields, with what they are in a record that has none.
        self.firsts = self._getter(firsts)
        self.others = self._getter(
            [name for field in OPTIONAL_FIELDS for name in by_field[field][1:]]
        )
        self.no_others = self.others(self._struct())

    def read(self, value: bytes, max_bytes: int) -> tuple[Any, tuple[str, ...]]:
        """Return the fields of a record, and the names of those that are null because they are of a
        wrong kind or too long. Raises DecodeError.

        Under one of STRICT_NAMES a text that is too long is there all the same, and a value of a
        wrong kind as an empty one of its kind.
        """
        require_size(value, max_bytes)
        require_utf8(value)
        require_shallow(value)
        try:
            return self._as_usual.decode(value), ()
        except msgspec.DecodeError:  # or a field of a wrong kind, which is one to msgspec
            return self._read_kind_by_kind(value)

    def _usual_kind(self, name: str) -> tuple[Any, Any]:
        """Return what a field usually is, and its default. What is anything else is read kind by
        kind, which takes twice as long."""
        if name in _RAW_NAMES:
            return Raw | UnsetType, UNSET
        field = self._field_of.get(name, "source")
        usual: Any = str
        if field in _LIMITS:
            usual = Annotated[str, Meta(max_length=_LIMITS[field])]
        if field == "id":
            usual |= int
        elif field == "published_at":
            usual |= int | float
        # An event has a source, even if it is null.
        return (usual | None | UnsetType, UNSET) if name == "source" else (usual | None, None)

    def _make_struct(self, title: str, kind: Callable[[str], tuple[Any, Any]]) -> type[Struct]:
        return msgspec.defstruct(
            title,
            [(attribute, *kind(name)) for name, attribute in self._attributes.items()],
            rename={attribute: name for name, attribute in self._attributes.items()},
            gc=False,
        )

    def _getter(self, names: Sequence[str]) -> Read:
        """Return what gives the values of these names in a record."""
        attributes = [self._attributes[name] for name in names]
        if not attributes:
            return lambda _: ()
        get = attrgetter(*attributes)
        return get if len(attributes) > 1 else lambda fields: (get(fields),)

    def _read_kind_by_kind(self, value: bytes) -> tuple[Any, tuple[str, ...]]:
        """Read what the usual way does not take: a byte order mark, lone surrogates, other
        kinds."""
        value = readable(value)
        try:
            unread = self._unread.decode(value)
        except msgspec.ValidationError:
            raise _no_object(value) from None
        except msgspec.DecodeError as error:
            raise _no_json(value, error) from None
        found: dict[str, Any] = {}
        wrong: list[str] = []
        for name, attribute in self._attributes.items():
            raw = getattr(unread, attribute)
            if raw is UNSET:
                continue
            found[attribute] = raw if name in _RAW_NAMES else self._value_of(name, raw)
            if name not in _RAW_NAMES and not self._is_usual(name, found[attribute]):
                wrong.append(name)
                found[attribute] = None
        return self._struct(**found), tuple(wrong)

    def _value_of(self, name: str, raw: Raw) -> Any:
        """Return a text, None, a number where the field may be one, or an empty value of the same
        kind."""
        field = self._field_of.get(name, "source")
        value = text_in(field, raw)
        if type(value) is not float or field not in ("id", "published_at"):
            return value
        number = bytes(memoryview(raw)[: MAX_ID_CHARACTERS + 2]).decode()
        if field == "id":
            return int(number) if _INTEGER.fullmatch(number) else value
        return float(number) if len(number) <= _MAX_NUMBER_BYTES else value

    def _is_usual(self, name: str, value: Any) -> bool:
        if value is None or name in STRICT_NAMES:
            return True
        field = self._field_of.get(name, "source")
        if type(value) is str:
            return field not in _LIMITS or len(value) <= _LIMITS[field]
        return type(value) is (int if field == "id" else float) and field in ("id", "published_at")


DEFAULT_READER: Final = FieldReader()


def readable(value: bytes) -> bytes:
    """Return the JSON text without what msgspec does not take: a byte order mark and lone
    surrogates."""
    return without_lone_surrogates(value.removeprefix(BYTE_ORDER_MARK))


def are_tags(raw: Raw | UnsetType) -> bool:
    """Say whether the field is a list of texts within the limits, or missing."""
    if raw is UNSET:
        return True
    if len(memoryview(raw)) > _MAX_TAGS_BYTES:
        return False
    try:
        _TAGS.decode(raw)
    except msgspec.DecodeError:
        return False
    return True


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
