"""Whether a document is the one that was read last."""

from __future__ import annotations

import pytest

from newsieve.feeds.document_hash import document_hash

HEAD = b"<rss><channel><title>x</title>%s"
RSS = HEAD + b"<item><title>%s</title><pubDate>%s</pubDate></item></channel></rss>"
ATOM = b"<feed><title>x</title>%s<entry><title>%s</title><updated>%s</updated></entry></feed>"


@pytest.mark.parametrize(
    ("document", "tag"),
    [(RSS, b"lastBuildDate"), (RSS, b"pubDate"), (RSS, b"dc:date"), (ATOM, b"updated")],
)
def test_when_a_document_was_made_is_not_what_it_says(document: bytes, tag: bytes) -> None:
    """Dates of items are, and whatever else the head has."""

    def made(date: bytes) -> bytes:
        return b"<%s>%s</%s>" % (tag, date, tag)

    same = document_hash(document % (made(b"10:00"), b"Ferry", b"09:00"))
    assert document_hash(document % (made(b"11:00"), b"Ferry", b"09:00")) == same
    assert document_hash(document % (made(b"10:00"), b"Crane", b"09:00")) != same
    assert document_hash(document % (made(b"10:00"), b"Ferry", b"09:30")) != same
    assert document_hash(document % (made(b"10:00") + b"<ttl>9</ttl>", b"Ferry", b"09:00")) != same


def test_a_document_without_items_is_taken_whole() -> None:
    """As any of another format."""
    assert document_hash(b"<rss><pubDate>1</pubDate>") != document_hash(
        b"<rss><pubDate>2</pubDate>"
    )
    assert document_hash(b"") != document_hash(b"{}")
