"""An article as the rest of newsieve knows it: decoded, checked, rendered."""

from __future__ import annotations

from typing import NamedTuple


class Article(NamedTuple):
    """`text` is the rendered article, never empty. `content` is whichever of the accepted fields
    held it. `nulled` names optional fields that had a wrong type, or were too long."""

    id: str
    title: str | None
    content: str | None
    url: str | None
    source: str | None
    language: str | None
    published_at: str | None
    text: str
    content_hash: str
    nulled: tuple[str, ...]
