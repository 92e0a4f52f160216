"""Feeds are read in processes that can be ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from newsieve.feeds.feed import FeedDocument, FeedUnreadable
from newsieve.feeds.limited_parsing import LIMITS, LimitedFeedParser
from newsieve.feeds.parse_feed import parse_feed
from tests.support.feed_server import rss, rss_item

URL = "https://a.example/feed"
# A hundred thousand characters that could be the beginning of an address of e-mail: feedparser
# looks through the rest from each of them.
HOSTILE = b"<rss><channel><item><author>%s</author></item></channel></rss>" % (b"a" * 100_000)


@pytest.fixture(scope="module")
def parser() -> Iterator[LimitedFeedParser]:
    with closing(LimitedFeedParser(LIMITS._replace(seconds=0.5), processes=1)) as made:
        yield made


def test_a_feed_is_read_as_it_is_here(parser: LimitedFeedParser) -> None:
    """Every value comes through, and so does a reason."""
    document = FeedDocument(rss([rss_item(1), rss_item(2)]), URL, "application/rss+xml", "nl")
    assert parser(document) == parse_feed(document)
    with pytest.raises(FeedUnreadable, match="it is a page in HTML, which names no feed"):
        parser(FeedDocument(b"<html></html>", URL))


def test_a_feed_that_keeps_the_parser_busy_is_given_up(parser: LimitedFeedParser) -> None:
    """And the next one is read."""
    started = time.monotonic()
    with pytest.raises(FeedUnreadable, match=r"^it cannot be read: took longer than 0\.5 s$"):
        parser(FeedDocument(HOSTILE, URL))
    assert time.monotonic() - started < 10
    assert len(parser(FeedDocument(rss([rss_item(1)]), URL)).items) == 1


def test_nothing_is_read_once_it_is_closed() -> None:
    """Nor is a process started."""
    parser = LimitedFeedParser()
    parser.close()
    with pytest.raises(FeedUnreadable, match="the program ends"):
        parser(FeedDocument(b"<rss/>", URL))
