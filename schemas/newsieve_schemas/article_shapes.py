"""The shapes of an article's fields other than a text: objects and lists as CMSs, scrapers and
converters of XML write them, each with the text that it stands for.

It is the model's reading of them; workers read the same out of bytes. It knows no limits of texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

# The members of an object that may hold a field's text; the first that is a string counts.
TEXT_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "id": ("$oid", "rendered", "value", "#text", "_"),
        "title": ("rendered", "value", "#text", "_"),
        "content": ("rendered", "value", "text", "#text", "_"),
        "url": ("href", "@href", "url", "rendered", "value", "#text", "_"),
        "source": ("name", "title", "value", "#text", "_"),
        "language": ("value", "#text", "_"),
        "published_at": ("$date", "value", "#text", "_"),
    }
)
FIRST_OF_LIST: Final = frozenset({"url", "source", "language"})  # the first usable element counts
MAX_BLOCKS: Final = 1_000  # of a content that is a list
MAX_LISTED: Final = 100  # elements of other lists that are looked at
PARAGRAPH: Final = "\n\n"  # between the blocks of a content


def text_in(field: str, value: Any) -> Any:
    """Return the text that an object or a list stands for, and any other value as it is."""
    if isinstance(value, dict):
        text = _member(field, value)
        return value if text is None else text
    if isinstance(value, list):
        if field == "content":
            return _joined(value)
        if field in FIRST_OF_LIST:
            return _first(field, value)
    return value


def _member(field: str, value: Mapping[str, Any]) -> str | None:
    for name in TEXT_MEMBERS[field]:
        if isinstance(value.get(name), str):
            return str(value[name])
    return None


def _first(field: str, value: list[Any]) -> Any:
    for item in value[:MAX_LISTED]:
        text = _member(field, item) if isinstance(item, dict) else item
        if isinstance(text, str) and text and not text.isspace():
            return text
    return value


def _joined(value: list[Any]) -> Any:
    """Return the texts of a content's blocks as paragraphs; the list itself if it holds anything
    but texts and objects."""
    if len(value) > MAX_BLOCKS or not all(isinstance(item, str | dict) for item in value):
        return value
    texts = [_member("content", item) if isinstance(item, dict) else item for item in value]
    return PARAGRAPH.join(text for text in texts if text and not text.isspace())
