"""An article as the rest of newsieve knows it: decoded, checked and rendered. Knows no filter."""

from __future__ import annotations

from typing import NamedTuple


class Article(NamedTuple):
    """An article that can be scored and labelled.

    `text` is the rendered article, never empty. `content` is the content of whichever accepted
    field had it. `nulled` names optional fields that had a wrong type or were too long, `envelopes`
    what was wrapped around the article. An article without a body is a title alone; an unknown date
    stands in `published_at` as it came.
    """

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
    envelopes: tuple[str, ...] = ()
    has_body: bool = True
    has_unknown_date: bool = False
    has_markup: bool = False  # in its content
