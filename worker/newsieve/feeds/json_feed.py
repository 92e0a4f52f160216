"""Reads JSON Feed, versions 1.0 and 1.1, as leniently as its real ones need. Pure.

A value of a wrong type counts as absent. It does not know what becomes of an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from newsieve.feeds.feed import FeedDocument, FeedItem, FeedUnreadable, ParsedFeed
from newsieve.feeds.item_values import absolute_url, date_of_text, language_of, tags_of, text_of
from newsieve.feeds.item_values import title_of as plain_title

UTF8_MARK: Final = b"\xef\xbb\xbf"


def parse_json_feed(document: FeedDocument) -> ParsedFeed:
    """Return what a document says. Raises FeedUnreadable."""
    try:
        feed = orjson.loads(document.body.removeprefix(UTF8_MARK))
    except orjson.JSONDecodeError as error:
        raise FeedUnreadable(f"it is no JSON: {error}") from None
    items = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(items, list):
        raise FeedUnreadable("it is JSON, but no JSON Feed: it has no list `items`")
    return ParsedFeed(
        title=plain_title(feed.get("title"), is_html=False),
        language=language_of(feed.get("language"), document.content_language),
        interval_seconds=None,
        items=tuple(_item(item, document.url) for item in items if isinstance(item, dict)),
    )


def _item(item: Mapping[str, Any], base: str) -> FeedItem:
    texts = (text_of(item.get(name)) for name in ("content_html", "content_text", "summary"))
    tags = item.get("tags")
    return FeedItem(
        guid=_id(item.get("id")),
        url=absolute_url(item.get("url"), base) or absolute_url(item.get("external_url"), base),
        title=plain_title(item.get("title"), is_html=False),
        content=next((text for text in texts if text is not None), None),
        language=language_of(item.get("language")),
        published_at=date_of_text(item.get("date_published")),
        updated_at=date_of_text(item.get("date_modified")),
        tags=tags_of(tags) if isinstance(tags, list) else (),
    )


def _id(value: object) -> str | None:
    """Return an id as text: the standard wants numbers to be taken as such."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else text_of(value)
