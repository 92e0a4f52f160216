"""Reads from a page in HTML which feeds it advertises, for whoever listed the page by mistake."""

from __future__ import annotations

from typing import Final
from urllib.parse import urljoin

from selectolax.lexbor import LexborHTMLParser

from newsieve.feeds.feed import FeedDocument
from newsieve.printable import one_line

# Of a page's beginning: its head is not longer.
HEAD_BYTES: Final = 262_144
_TYPES: Final = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"}
)


def advertised_feeds(page: FeedDocument) -> list[str]:
    """Return the absolute addresses of the page's feeds, fit to be shown."""
    tree = LexborHTMLParser(page.body[:HEAD_BYTES].decode("utf-8", "replace"))
    feeds = []
    for link in tree.css("link[rel~=alternate][href]"):
        attributes = link.attributes
        kind = (attributes.get("type") or "").partition(";")[0].strip().lower()
        if kind in _TYPES:
            feeds.append(one_line(_absolute(page.url, attributes.get("href") or "")))
    return feeds


def _absolute(base: str, href: str) -> str:
    try:
        return urljoin(base, href.strip())
    except ValueError:
        return href
