"""Makes raw articles of a feed's items, and gives each an id that stays. Pure.

The id is the item's own, where it is unique in the world (a URL, a URN, a tag, a UUID); one that is
not (`7`) is said of its feed, as in `https://a.example/feed#7`. Without one it is the canonical
address, and without an address a UUIDv5 of the text. What several items of one document with
different titles share is no id of any of them: some feeds give each item the site's address.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from newsieve.feeds.canonical_url import canonical_url
from newsieve.feeds.feed import Feed, FeedItem, ParsedFeed
from newsieve.feeds.known_items import Seen
from newsieve_schemas.article import MAX_ID_CHARACTERS, MAX_SOURCE_CHARACTERS

# In characters: a record of a megabyte has room for it, whatever its script.
MAX_CONTENT_CHARACTERS: Final = 150_000
# Only the latest news of a larger document is read: the rest of it is an archive.
MAX_ITEMS: Final = 10_000

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_GLOBAL_ID: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]|urn:\S|tag:\S", re.IGNORECASE)
_MARKUP: Final = re.compile(r"<[a-zA-Z/!][^<>]*>")
_EMBEDDED: Final = re.compile(r"""data:[^\s"'()<>]{200,}""")


class FeedArticle(NamedTuple):
    """An item of a feed as a raw article, and the hashes that tell whether it is news."""

    article: dict[str, Any]
    seen: Seen


def articles_of(feed: Feed, parsed: ParsedFeed) -> list[FeedArticle]:
    """Return the articles of a document, oldest first, each id once.

    Items that have neither a title nor a content are left out.
    """
    items = [item for item in parsed.items if item.title or item.content][:MAX_ITEMS]
    articles: dict[str, FeedArticle] = {}
    updated: dict[str, str] = {}
    for item, item_id in reversed(list(zip(items, _ids(feed, items), strict=True))):
        when = item.updated_at or item.published_at or ""
        if item_id in articles and when < updated[item_id]:  # an older version of the same
            continue
        article = _article(feed, parsed, item, item_id)
        articles.pop(item_id, None)
        articles[item_id] = FeedArticle(article, Seen.of(item_id, compared_text(item)))
        updated[item_id] = when
    return list(articles.values())


def compared_text(item: FeedItem) -> str:
    """Return the text that tells whether an item has changed: what is read, without markup, whose
    addresses many feeds renew with every answer."""
    content = _MARKUP.sub(" ", item.content) if item.content else ""
    return f"{item.title or ''}\n{' '.join(content.split())}"


def _article(feed: Feed, parsed: ParsedFeed, item: FeedItem, item_id: str) -> dict[str, Any]:
    source = feed.title or parsed.title
    values = {
        "id": item_id,
        "title": item.title,
        "content": _within_limit(item.content) if item.content else None,
        "url": item.url,
        "source": source[:MAX_SOURCE_CHARACTERS] if source else None,
        "language": item.language or parsed.language,
        "published_at": item.published_at or item.updated_at,
        "tags": list(item.tags) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _within_limit(content: str) -> str:
    if len(content) <= MAX_CONTENT_CHARACTERS:
        return content
    return _EMBEDDED.sub("data:,", content)[:MAX_CONTENT_CHARACTERS]  # first without pictures


def _ids(feed: Feed, items: Sequence[FeedItem]) -> list[str]:
    """Return an id for each item, by the first of its candidates that is its own."""
    ids: list[str | None] = [None] * len(items)
    candidates: tuple[Callable[[Feed, FeedItem], str | None], ...] = (_by_guid, _by_url, _by_text)
    for candidate in candidates:
        named = {
            place: name
            for place, item in enumerate(items)
            if ids[place] is None and (name := candidate(feed, item)) is not None
        }
        titles = {(name, items[place].title) for place, name in named.items()}
        shared = Counter(name for name, _ in titles)
        for place, name in named.items():
            if shared[name] == 1:
                ids[place] = name
    # A text is its own even where a title is too long to be compared.
    return [name or _by_text(feed, item) for name, item in zip(ids, items, strict=True)]


def _by_guid(feed: Feed, item: FeedItem) -> str | None:
    if item.guid is None:
        return None
    guid = item.guid.strip()
    is_global = _GLOBAL_ID.match(guid) or _UUID.fullmatch(guid)
    name = guid if is_global else f"{feed.url}#{guid}"
    return name if len(name) <= MAX_ID_CHARACTERS else str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _by_url(_feed: Feed, item: FeedItem) -> str | None:
    return canonical_url(item.url) if item.url is not None else None


def _by_text(feed: Feed, item: FeedItem) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{feed.url}\n{compared_text(item)}"))
