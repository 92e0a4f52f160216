"""Examples of the shapes that records of articles come in, and the table of what each becomes.

The table is made by decoding the examples, so it says what a worker does. The texts are our own.
"""

from __future__ import annotations

import gzip
import json
from typing import Any, Final, NamedTuple

from backports import zstd

from docs.tables import table
from newsieve.errors import ArticleDeleted
from newsieve.filters.article import Article
from newsieve.records.decode import DecodePolicy, Headers, RawRecord, decode

URL: Final = "https://news.example/7"
BODY: Final = "Neighbours rebuilt it."
HTML: Final = f"<p>{BODY}</p>"
FRAME: Final = b"\0\0\0\0\7"
COLUMNS: Final = ("Shape", "Example", "title", "content", "url", "id", "published_at", "Envelope")


class Shape(NamedTuple):
    """One shape of record. `shown` is the object or text that stands for it on the page, `value`
    the record's bytes."""

    name: str
    shown: Any
    value: bytes
    headers: Headers | None = None


def shapes() -> list[Shape]:
    """Return all shapes: those of fields first, then envelopes."""
    plain = {"id": "7", "title": "School reopens", "content": BODY, "url": URL}
    plain |= {"published_at": "2026-11-01T09:30:00Z"}
    event = {"specversion": "1.0", "type": "article", "source": "/cms", "id": "e1", "data": plain}
    change = {"before": None, "after": plain, "source": {}, "op": "c", "ts_ms": 1793525400000}
    rows: list[tuple[str, dict[str, Any]]] = [
        ("Bare article", plain),
        ("Article with `text`", _renamed(plain, content="text")),
        ("Article with `body`", _renamed(plain, content="body")),
        (
            "RSS item as JSON",
            {
                "guid": "7",
                "title": "School reopens",
                "link": URL,
                "summary": HTML,
                "pubDate": "Sun, 01 Nov 2026 10:30:00 +0100",
            },
        ),
        (
            "RSS item, converted from XML",
            {
                "guid": {"#text": "7", "@isPermaLink": "false"},
                "title": "School reopens",
                "link": [{"@href": URL}],
                "description": "A school.",
                "content:encoded": HTML,
                "pubDate": "Sun, 01 Nov 2026 09:30:00 GMT",
            },
        ),
        (
            "Entry of feedparser",
            {
                "id": "7",
                "title": "School reopens",
                "link": URL,
                "summary": "A school.",
                "content": [{"type": "text/html", "value": HTML}],
                "published": "Sun, 01 Nov 2026 09:30:00 GMT",
            },
        ),
        (
            "JSON Feed, HTML",
            {
                "id": "7",
                "url": URL,
                "title": "School reopens",
                "content_html": HTML,
                "date_published": "2026-11-01T09:30:00Z",
            },
        ),
        (
            "JSON Feed, text",
            {
                "id": "7",
                "url": URL,
                "title": "School reopens",
                "content_text": BODY,
                "date_published": "2026-11-01T09:30:00Z",
            },
        ),
        (
            "news-please",
            {
                "title": "School reopens",
                "maintext": BODY,
                "description": "A school.",
                "url": URL,
                "source_domain": "news.example",
                "language": "en",
                "date_publish": "2026-11-01 09:30:00",
            },
        ),
        (
            "WordPress REST API",
            {
                "id": 7,
                "date": "2026-11-01T09:30:00",
                "link": URL,
                "title": {"rendered": "School reopens"},
                "content": {"rendered": HTML, "protected": False},
            },
        ),
        (
            "News API",
            {
                "source": {"id": None, "name": "Example News"},
                "title": "School reopens",
                "description": BODY,
                "content": None,
                "url": URL,
                "publishedAt": "2026-11-01T09:30:00Z",
            },
        ),
        (
            "CMS blocks, epoch milliseconds",
            {
                "id": 7,
                "headline": "School reopens",
                "content": [
                    {"type": "paragraph", "text": BODY},
                    {"type": "image", "src": "a.jpg"},
                ],
                "url": URL,
                "published": 1793525400000,
            },
        ),
        ("Kafka Connect", {"schema": {"type": "struct"}, "payload": plain}),
        ("Debezium", change),
        ("Debezium in Kafka Connect", {"schema": {"type": "struct"}, "payload": change}),
        ("CloudEvent, structured", event),
    ]
    found = [Shape(name, facts, json.dumps(facts).encode()) for name, facts in rows]
    value = json.dumps(plain).encode()
    by_header: Headers = [("__value_schema_id", b"\1" + bytes(16))]
    return [
        *found,
        Shape("CloudEvent, binary", "attributes in `ce_…` headers, then the article", value),
        Shape("Confluent, schema id in front", "`00`, 4 bytes, then the article", FRAME + value),
        Shape("Confluent, schema id in a header", "the article", value, by_header),
        Shape("gzip", "`1f 8b …`", gzip.compress(value)),
        Shape("zstd", "`28 b5 2f fd …`", zstd.compress(value)),
    ]


def deletion() -> bytes:
    """Return Debezium's record of a deleted row, which has no article."""
    row = {"id": "7", "title": "School reopens"}
    return json.dumps({"before": row, "after": None, "op": "d"}).encode()


def decoded(shape: Shape) -> Article:
    """Return the article that a worker makes of the example."""
    policy = DecodePolicy(max_bytes=100_000, id_from_key=False)
    return decode(RawRecord(shape.value, None, shape.headers, None, {}), policy)


def shapes_table() -> str:
    """Return the Markdown table of all shapes with what they become."""
    rows = []
    for shape in shapes():
        article = decoded(shape)
        values = (article.title, article.content, article.url, article.id, article.published_at)
        shown = shape.shown if isinstance(shape.shown, str) else f"`{json.dumps(shape.shown)}`"
        envelopes = ", ".join(f"`{name}`" for name in article.envelopes)
        rows.append((shape.name, shown, *(f"`{value}`" for value in values), envelopes))
    rows.append(_deletion_row())
    return table(COLUMNS, rows).replace("&lt;", "<")  # all of it stands in code


def _deletion_row() -> tuple[str, ...]:
    record = RawRecord(deletion(), None, None, None, {})
    try:
        decode(record, DecodePolicy(max_bytes=100_000, id_from_key=False))
    except ArticleDeleted:
        what = "none: it is skipped and counted, as a null value is"
        return ("Debezium, deleted row", f"`{deletion().decode()}`", what, "", "", "", "", "")
    raise AssertionError("a deletion was read as an article")


def _renamed(facts: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in facts.items()}
