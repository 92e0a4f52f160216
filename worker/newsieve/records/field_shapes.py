"""Reads a field that is an object or a list where a text is usual, as CMSs and converters of XML
write it: `{"rendered": "…"}`, blocks, lists of links.

The shapes are a closed list, that of `newsieve_schemas.article_shapes`; whatever else is in the
objects is passed over unread. It knows nothing of limits.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from newsieve.records.json_array import elements_of
from newsieve.records.json_kinds import kind_of, text_of
from newsieve_schemas.article_shapes import (
    FIRST_OF_LIST,
    MAX_BLOCKS,
    MAX_LISTED,
    PARAGRAPH,
    TEXT_MEMBERS,
)

_MEMBERS: Final = list(dict.fromkeys(name for names in TEXT_MEMBERS.values() for name in names))
_ATTRIBUTES: Final = {name: f"member_{at}" for at, name in enumerate(_MEMBERS)}
_LIST: Final = msgspec.json.Decoder(list[Raw])
_SMALL_BYTES: Final = 16_384  # of a list whose elements may all become objects; others are split
_OBJECT: Final = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Members",
        [(attribute, Raw | UnsetType, UNSET) for attribute in _ATTRIBUTES.values()],
        rename={attribute: name for name, attribute in _ATTRIBUTES.items()},
        gc=False,
    )
)


def text_in(field: str, raw: Raw) -> Any:
    """Return the text that a field's value stands for; where it stands for none, an empty value of
    its kind."""
    text = text_of(raw)
    if text is not None:
        return text
    kind = kind_of(raw)
    if type(kind) is dict:
        text = _member(field, raw)
    elif type(kind) is list and field == "content":
        text = _joined(raw)
    elif type(kind) is list and field in FIRST_OF_LIST:
        text = _first(field, raw)
    return kind if text is None else text


def _member(field: str, raw: Raw | bytes) -> str | None:
    """Return the text of an object's first member that may hold the field's text."""
    members = _OBJECT.decode(raw)
    for name in TEXT_MEMBERS[field]:
        value = getattr(members, _ATTRIBUTES[name])
        if value is not UNSET and (text := text_of(value)) is not None:
            return text
    return None


def _first(field: str, raw: Raw) -> str | None:
    for item in _elements(raw, MAX_LISTED)[:MAX_LISTED]:
        text = _member(field, item) if item.startswith(b"{") else text_of(item)
        if text and not text.isspace():
            return text
    return None


def _elements(raw: Raw, most: int) -> list[bytes]:
    """Return the elements of a list; of one with more than `most`, at least one more than that."""
    if len(memoryview(raw)) <= _SMALL_BYTES:
        return [bytes(item) for item in _LIST.decode(raw)]
    return elements_of(bytes(raw), most)


def _joined(raw: Raw) -> str | None:
    """Return the texts of a content's blocks as paragraphs; None where the list holds anything but
    texts and objects."""
    items = _elements(raw, MAX_BLOCKS)
    if len(items) > MAX_BLOCKS or not all(item.startswith((b'"', b"{")) for item in items):
        return None
    texts = [_member("content", item) if item.startswith(b"{") else text_of(item) for item in items]
    return PARAGRAPH.join(text for text in texts if text and not text.isspace())
