"""The formats of feeds: Atom (RFC 4287), JSON Feed 1.1, and OPML 2.0 for the list of all.

It knows no store and no route.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

import newsieve
from newsieve.web.feed_entries import Entry, Feed, moment

ATOM: Final = "application/atom+xml"
JSON_FEED: Final = "application/feed+json"
OPML: Final = "text/x-opml"
NAME: Final = "newsieve"
ABOUT: Final = "The outcome's scores, as a ScoredArticle has them"


def atom(feed: Feed) -> bytes:
    """Return a feed as Atom."""
    root = ET.Element("feed", {"xmlns": "http://www.w3.org/2005/Atom"})
    _add(root, "id", feed.id)
    _add(root, "title", feed.title)
    _add(root, "subtitle", feed.subtitle)
    _add(root, "updated", moment(feed.updated_ms))
    _add(root, "generator", NAME, version=newsieve.__version__)
    _add(root, "link", rel="self", type=ATOM, href=feed.url)
    _add(root, "link", rel="alternate", type="text/html", href=feed.home)
    _add(_add(root, "author"), "name", NAME)
    for entry in feed.entries:
        _add_entry(root, entry)
    return _document(root)


def json_feed(feed: Feed) -> bytes:
    """Return a feed as JSON Feed 1.1."""
    return orjson.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": feed.title,
            "description": feed.subtitle,
            "home_page_url": feed.home,
            "feed_url": feed.url,
            "authors": [{"name": NAME}],
            "items": [_item(entry) for entry in feed.entries],
        }
    )


def opml(title: str, feeds: Mapping[str, Sequence[Feed]]) -> bytes:
    """Return the list of feeds, grouped under headings."""
    root = ET.Element("opml", {"version": "2.0"})
    _add(_add(root, "head"), "title", title)
    body = _add(root, "body")
    for heading, members in feeds.items():
        group = ET.SubElement(body, "outline", {"text": heading})
        for feed in members:
            outline = {
                "type": "rss",  # of any format, OPML says
                "text": feed.title,
                "title": feed.title,
                "description": feed.subtitle,
                "xmlUrl": feed.url,
                "htmlUrl": feed.home,
            }
            ET.SubElement(group, "outline", outline)
    return _document(root)


def _add_entry(root: ET.Element, entry: Entry) -> None:
    element = _add(root, "entry")
    if entry.language is not None:
        element.set("xml:lang", entry.language)
    _add(element, "id", entry.id)
    _add(element, "title", entry.title, type="text")
    if entry.url is not None:
        _add(element, "link", rel="alternate", href=entry.url)
    _add(_add(element, "author"), "name", entry.source or NAME)
    _add(element, "published", moment(entry.published_ms))
    _add(element, "updated", moment(entry.updated_ms))
    _add(element, "category", term=entry.filter)
    _add(element, "category", term=entry.tier)
    _add(element, "summary", entry.summary, type="text")
    _add(element, "content", entry.html, type="html")


def _item(entry: Entry) -> dict[str, Any]:
    outcome = entry.outcome
    item = {
        "id": entry.id,
        "url": entry.url,
        "title": entry.title,
        "content_html": entry.html,
        "summary": entry.summary,
        "date_published": moment(entry.published_ms),
        "date_modified": moment(entry.updated_ms),
        "authors": [{"name": entry.source}] if entry.source is not None else None,
        "tags": [entry.filter, entry.tier],
        "language": entry.language,
    }
    decided = outcome.model_dump(
        include={
            "filter", "filter_version", "tier", "score", "weighted_average", "scores",
            "tier_confidence", "gates", "caps", "content_rules", "student", "truncated", "suspect",
        }
    )  # fmt: skip
    said = {name: value for name, value in item.items() if value is not None}
    return {**said, "_newsieve": {"about": ABOUT, **decided, "story": entry.story}}


def _add(parent: ET.Element, tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _document(root: ET.Element) -> bytes:
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))
