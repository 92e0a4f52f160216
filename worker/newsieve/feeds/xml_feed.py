"""Reads RSS, Atom, RDF and CDF by feedparser, which forgives whatever feeds do wrong.

Its cleaning of HTML is switched off: it costs most of the time, and what renders an article reads
markup. It does not know what becomes of an item.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final
from xml.sax import SAXException

import feedparser

from newsieve.feeds.feed import FeedDocument, FeedItem, FeedUnreadable, ParsedFeed
from newsieve.feeds.item_values import (
    absolute_url,
    date_of_struct,
    interval_of,
    language_of,
    tags_of,
    text_of,
    title_of,
)
from newsieve.feeds.items import MAX_ITEMS
from newsieve.printable import one_line

NO_FEED: Final = "it is neither RSS, Atom nor JSON Feed"
FIRST_SURROGATE: Final = 0xD800
LAST_SURROGATE: Final = 0xDFFF
MAX_DIGITS: Final = 7  # of the highest number of a character, in either system
_ITEM_END: Final = re.compile(rb"</(?:\w+:)?(?:item|entry)\s*>")
_NUMBER: Final = re.compile(rb"&#(?:x([0-9a-f]+)|([0-9]+));?", re.IGNORECASE)
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXT_TYPES: Final = _HTML_TYPES | {"text/plain", ""}
_DATES: Final = ("published_parsed", "created_parsed")

Values = dict[str, Any]


def parse_xml_feed(document: FeedDocument) -> ParsedFeed:
    """Return what a document says, of its items one more than are published, at most. Raises
    FeedUnreadable."""
    document = document._replace(body=_without_archive(document.body))
    try:
        result = _parsed(document)
    except Exception:  # noqa: BLE001 - it is not made to raise, and what it raises is open
        try:  # most often of a number that is no character's
            result = _parsed(document._replace(body=_NUMBER.sub(_character, document.body)))
        except Exception as error:
            raise FeedUnreadable(f"feedparser cannot read it: {type(error).__name__}") from error
    feed, entries = result["feed"], result["entries"]
    if not entries and not dict.get(result, "version"):
        raise FeedUnreadable(_no_feed(result))
    title = _detail(feed, "title")
    return ParsedFeed(
        title=title_of(title.get("value"), is_html=_is_html(title)),
        language=language_of(dict.get(feed, "language"), title.get("language")),
        interval_seconds=interval_of(
            dict.get(feed, "ttl"),
            dict.get(feed, "sy_updateperiod"),
            dict.get(feed, "sy_updatefrequency"),
        ),
        items=tuple(_item(entry, document.url) for entry in entries),
    )


def _without_archive(body: bytes) -> bytes:
    """Return the document without those of its items that nobody wants: they take feedparser a
    quarter of a millisecond each. What stands between the ends of two items can be left out."""
    ends = [end.end() for end in _ITEM_END.finditer(body)]
    return body[: ends[MAX_ITEMS]] + body[ends[-1] :] if len(ends) > MAX_ITEMS else body


def _parsed(document: FeedDocument) -> Values:
    # Without its address, by which feedparser would make ids absolute that are no addresses.
    headers = {
        "content-type": document.content_type,
        "content-language": document.content_language,
    }
    result: Values = feedparser.parse(
        io.BytesIO(document.body),  # of bytes alone it would open the file of that name
        response_headers={name: value for name, value in headers.items() if value is not None},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    return result


def _character(reference: re.Match[bytes]) -> bytes:
    """Return a reference by number, or one to the sign for what is no character."""
    hexadecimal, decimal = reference.groups()
    digits = (hexadecimal or decimal).lstrip(b"0") or b"0"
    if len(digits) <= MAX_DIGITS:
        number = int(digits, 16 if hexadecimal else 10)
        if number in range(FIRST_SURROGATE) or number in range(LAST_SURROGATE + 1, 0x110000):
            return reference[0]
    return b"&#xFFFD;"


def _no_feed(result: Values) -> str:
    error = dict.get(result, "bozo_exception")
    is_told = isinstance(error, SAXException)  # others are about the headers
    return NO_FEED + (f": {one_line(str(error))}" if is_told else "")


def _item(entry: Values, base: str) -> FeedItem:
    title = _detail(entry, "title")
    bodies = [part for part in _bodies(entry) if text_of(part.get("value")) is not None]
    body = bodies[0] if bodies else {}
    dates = (date_of_struct(dict.get(entry, name)) for name in _DATES)
    tags = dict.get(entry, "tags") or ()
    guid = text_of(dict.get(entry, "id"))
    return FeedItem(
        guid=guid,
        url=_url(dict.get(entry, "link"), guid, base),
        title=title_of(title.get("value"), is_html=_is_html(title)),
        content=text_of(body.get("value")),
        language=language_of(
            dict.get(entry, "language"), body.get("language"), title.get("language")
        ),
        published_at=next((date for date in dates if date is not None), None),
        updated_at=date_of_struct(dict.get(entry, "updated_parsed")),
        tags=tags_of(dict.get(tag, "label") or dict.get(tag, "term") for tag in tags),
    )


def _url(link: object, guid: str | None, base: str) -> str | None:
    """Return the item's address. RSS takes an id for one where there is no other: it is, if it is
    absolute."""
    url = absolute_url(link, base)
    return None if link == guid and url != guid else url


def _bodies(entry: Values) -> Iterator[Values]:
    """Yield the item's texts, the one to trust most first: its content, then its summary."""
    for part in dict.get(entry, "content") or ():
        if str(dict.get(part, "type") or "").lower() in _TEXT_TYPES:
            yield part
    yield _detail(entry, "summary")


def _detail(values: Values, name: str) -> Values:
    """Return a text with its type and language."""
    detail = dict.get(values, f"{name}_detail")
    return detail if isinstance(detail, dict) else {"value": dict.get(values, name)}


def _is_html(detail: Values) -> bool:
    return detail.get("type") in _HTML_TYPES
