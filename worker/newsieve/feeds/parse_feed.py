"""Reads a feed's document, whatever its format, or says what it is instead.

Names of media types decide nothing: half of the feeds are sent with a wrong one. It does not know
where the document is from. Hostile documents can take long and much memory: a program that has to
go on reads them in a process of its own.
"""

from __future__ import annotations

import re
from typing import Final

from newsieve.feeds.feed import FeedDocument, FeedUnreadable, ParsedFeed
from newsieve.feeds.html_page import advertised_feeds
from newsieve.feeds.json_feed import parse_json_feed
from newsieve.feeds.xml_feed import parse_xml_feed

# So far a document is looked at to see what it is: behind comments and declarations.
SNIFFED_BYTES: Final = 8_192
_MARKS: Final = b"\xef\xbb\xbf"  # of UTF-8
_HTML: Final = re.compile(rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)
_FEED: Final = re.compile(rb"<(?:[a-z0-9_-]{1,30}:)?(?:rss|feed|rdf|channel)[\s>]", re.IGNORECASE)


def parse_feed(document: FeedDocument) -> ParsedFeed:
    """Return what a document says. Raises FeedUnreadable."""
    start = document.body[:SNIFFED_BYTES].removeprefix(_MARKS).lstrip()
    if not start:
        raise FeedUnreadable("the document is empty")
    if start.startswith((b"{", b"[")):
        return parse_json_feed(document)
    if _HTML.search(start) and not _FEED.search(start):
        raise FeedUnreadable(_page(document))
    return parse_xml_feed(document)


def _page(document: FeedDocument) -> str:
    feeds = advertised_feeds(document)
    if not feeds:
        return "it is a page in HTML, which names no feed"
    return f"it is a page in HTML, no feed; the page's feed is {feeds[0]}"
