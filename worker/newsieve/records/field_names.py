"""The names under which raw records carry the fields of an article, in the order of trust.

It knows names only: `raw_fields` reads the values, `decode` decides which of them counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from newsieve_schemas.article import CONTENT_NAMES, TITLE_NAMES

# An envelope has these members. A field of an article cannot have one of these names: nobody could
# tell a wrapped article from an article.
ENVELOPE_NAMES: Final = (
    "specversion",
    "type",
    "data",
    "data_base64",
    "schema",
    "payload",
    "op",
    "before",
    "after",
)


@dataclass(frozen=True, slots=True)
class FieldNames:
    """For each field of an article, the names it may have in a record. The first one whose value is
    usable counts."""

    id: tuple[str, ...] = ("id", "guid")
    title: tuple[str, ...] = TITLE_NAMES
    content: tuple[str, ...] = CONTENT_NAMES
    url: tuple[str, ...] = ("url", "link")
    source: tuple[str, ...] = ("source", "source_domain")
    language: tuple[str, ...] = ("language", "lang")
    published_at: tuple[str, ...] = (
        "published_at",
        "published_date",
        "published",
        "date",
        "pubDate",
        "date_publish",
        "date_published",
        "publishedAt",
        "isoDate",
    )

    def by_field(self) -> dict[str, tuple[str, ...]]:
        """The names by the article's field."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


DEFAULT_NAMES: Final = FieldNames()
