"""A feed is asked by HTTP, and says what is new."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from newsieve.feeds.feed import Feed, FeedDocument, FeedUnreadable, FetchedFeed, ParsedFeed
from newsieve.feeds.fetcher import HttpFeedFetcher
from newsieve.feeds.next_request import Intervals
from newsieve.feeds.parse_feed import parse_feed
from newsieve.outgoing.public_address import parse_allowed
from newsieve.outgoing.web_reader import WebLimits, WebReader
from newsieve_schemas.ingest import FeedState
from tests.support.feed_server import (
    FeedReply,
    FeedServer,
    conditional,
    feed_server,
    gzip_bomb,
    gzipped,
    in_turn,
    redirect,
    rss,
    rss_item,
)

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
INTERVALS = Intervals(least=900, most=7_200, first_failure=600)


class Asking:
    """Asks one feed again and again, as whoever keeps its state does."""

    def __init__(self, fetcher: HttpFeedFetcher, url: str) -> None:
        self._fetcher = fetcher
        self.feed = Feed(url)
        self.state: FeedState | None = None

    def ask(self) -> FetchedFeed:
        fetched = self._fetcher.fetch(self.feed, self.state)
        # What is kept is JSON.
        self.state = FeedState.model_validate_json(fetched.state.model_dump_json())
        return fetched

    def seconds(self) -> float:
        """Until it is asked again."""
        assert self.state is not None
        return (dt.datetime.fromisoformat(self.state.next_at) - NOON).total_seconds()


@pytest.fixture(scope="module")
def server() -> Iterator[FeedServer]:
    with feed_server() as made:
        yield made


@contextmanager
def made_fetcher(parse: object = parse_feed) -> Iterator[HttpFeedFetcher]:
    web = WebReader(parse_allowed(["127.0.0.1"]), limits=WebLimits(seconds=5, body_bytes=1_000_000))
    fetcher = HttpFeedFetcher(web, intervals=INTERVALS, parse=parse, now=lambda: NOON)  # type: ignore[arg-type]
    with closing(fetcher):
        yield fetcher


@pytest.fixture(scope="module")
def fetcher() -> Iterator[HttpFeedFetcher]:
    with made_fetcher() as made:
        yield made


def titles(fetched: FetchedFeed) -> list[str]:
    return [article["title"] for article in fetched.articles]


def items(*numbers: int) -> bytes:
    return rss([rss_item(number) for number in numbers])


def test_only_what_is_new_or_has_changed_is_told(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """Oldest first; the whole document at first sight."""
    documents = [items(3, 2, 1), items(4, 3, 2), rss([rss_item(4, "anew"), rss_item(3)])]
    url = server.serve("/news", in_turn(*(FeedReply(body) for body in documents)))
    feed = Asking(fetcher, url)
    found = [titles(feed.ask()) for _ in documents]
    assert found == [["Ferry 1", "Ferry 2", "Ferry 3"], ["Ferry 4"], ["Ferry 4"]]


def test_an_unchanged_feed_is_answered_by_304(server: FeedServer, fetcher: HttpFeedFetcher) -> None:
    """By its ETag and its date, which are sent back as they came."""
    date = "Mon, 02 Mar 2026 09:00:00 GMT"
    url = server.serve("/same", conditional(lambda: items(1), Last_Modified=date))
    feed = Asking(fetcher, url)
    assert feed.ask().outcome == "read"
    for _ in range(2):
        fetched = feed.ask()
        assert (fetched.outcome, fetched.articles, fetched.reason) == ("unchanged", [], None)
    first, second, third = server.asked("/same")
    assert "if-none-match" not in first.headers
    assert second.headers["if-none-match"] == third.headers["if-none-match"]
    assert third.headers["if-modified-since"] == date


def test_a_body_that_is_the_same_is_not_read_again(server: FeedServer) -> None:
    """Many servers never answer 304."""
    read = []

    def parse(document: FeedDocument) -> ParsedFeed:
        read.append(document)
        return parse_feed(document)

    with made_fetcher(parse) as fetcher:
        feed = Asking(fetcher, server.serve("/plain", FeedReply(items(1))))
        assert [feed.ask().outcome for _ in range(3)] == ["read", "unchanged", "unchanged"]
    assert len(read) == 1


def test_a_validator_that_cannot_be_sent_back_is_dropped(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """One without end, or not of ASCII."""
    for number, tag in enumerate(("x" * 2_000, "\xe9")):
        reply = FeedReply(items(1), headers={"ETag": tag})
        feed = Asking(fetcher, server.serve(f"/tag/{number}", reply))
        assert feed.ask().state.etag is None
        assert feed.ask().outcome == "unchanged"


def test_a_feed_that_moved_for_good_is_asked_where_it_is(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """That is said once; when the new place fails, the first is asked again."""
    new = server.serve(
        "/new", in_turn(FeedReply(items(1)), FeedReply(items(2)), FeedReply(b"", 404))
    )
    feed = Asking(fetcher, server.serve("/old", redirect(new, 301)))
    fetched = feed.ask()
    assert (fetched.outcome, fetched.reason) == ("read", f"it has moved for good to {new}")
    fetched = feed.ask()
    assert (titles(fetched), fetched.reason) == (["Ferry 2"], None)
    assert fetched.state.moved_to == new
    assert fetched.state.url == feed.feed.url
    assert len(server.asked("/old")) == 1
    assert feed.ask().outcome == "failed"
    feed.ask()
    assert len(server.asked("/old")) == 2


def test_a_feed_that_is_elsewhere_for_now_keeps_its_address(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """Each time it is asked at its own."""
    here = server.serve("/here", FeedReply(items(1)))
    feed = Asking(fetcher, server.serve("/now", redirect(here, 302)))
    assert [feed.ask().state.moved_to for _ in range(2)] == [None, None]
    assert len(server.asked("/now")) == 2


def test_a_feed_that_is_gone_is_said_and_asked_once_a_week(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """And taken up again when it was not."""
    url = server.serve("/gone", in_turn(FeedReply(status=410), FeedReply(items(1))))
    feed = Asking(fetcher, url)
    fetched = feed.ask()
    assert (fetched.outcome, fetched.state.gone) == ("gone", True)
    assert fetched.reason == "the server says that it is gone for good"
    assert feed.seconds() >= 7 * 86_400
    fetched = feed.ask()
    assert (fetched.outcome, fetched.state.gone, titles(fetched)) == ("read", False, ["Ferry 1"])


def test_failures_in_a_row_are_counted_and_forgotten(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """What is known of the feed stays: nothing is told twice afterwards."""
    good = conditional(lambda: items(2, 1))
    broken = FeedReply(b"", 500)
    url = server.serve("/ill", good)
    feed = Asking(fetcher, url)
    feed.ask()
    server.serve("/ill", broken)
    waits = []
    for number in (1, 2, 3):
        fetched = feed.ask()
        assert (fetched.outcome, fetched.state.failures) == ("failed", number)
        assert fetched.reason == fetched.state.failure == "the server answers 500"
        waits.append(feed.seconds())
    assert 600 <= waits[0] < 1_200 <= waits[1] < 2_400 <= waits[2]
    server.serve("/ill", good)
    fetched = feed.ask()
    assert (fetched.outcome, fetched.state.failures, fetched.state.failure) == (
        "unchanged", 0, None,
    )  # fmt: skip


def test_a_server_that_asks_for_patience_gets_it(
    server: FeedServer, fetcher: HttpFeedFetcher
) -> None:
    """For all of its feeds."""
    reply = FeedReply(b"", 429, {"Retry-After": "5000"})
    feed = Asking(fetcher, server.serve("/busy", reply))
    fetched = feed.ask()
    assert (fetched.outcome, fetched.host_wait_seconds) == ("failed", 5_000)
    assert feed.seconds() == 5_000


@pytest.mark.parametrize(
    ("extra", "headers", "seconds"),
    [
        ("<ttl>60</ttl>", {}, 3_600),
        ("<sy:updatePeriod>hourly</sy:updatePeriod>", {}, 3_600),
        (
            "<sy:updatePeriod> daily </sy:updatePeriod><sy:updateFrequency>24</sy:updateFrequency>",
            {},
            3_600,
        ),
        ("<ttl>1</ttl>", {}, 900),
        ("<ttl>soon</ttl>", {"Cache_Control": "max-age=1800"}, 1_800),
    ],
)
def test_a_feed_says_how_often_it_is_asked(
    server: FeedServer, fetcher: HttpFeedFetcher, extra: str, headers: dict[str, str], seconds: int
) -> None:
    """And does so for the answers of 304 that follow, which have no body."""
    body = rss([rss_item(1)], extra=extra)
    feed = Asking(fetcher, server.serve("/pace", conditional(lambda: body, **headers)))
    for outcome in ("read", "unchanged"):
        assert feed.ask().outcome == outcome
        assert seconds <= feed.seconds() <= seconds * 1.1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (FeedReply(b"none", 404), "the server answers 404"),
        (FeedReply(b""), "the document is empty"),
        (FeedReply(b"<!DOCTYPE html><html>Hello</html>"), "a page in HTML, which names no feed"),
        (
            FeedReply(
                b"<html><head><link rel='alternate' type='application/rss+xml' href='../f.xml'>"
            ),
            "no feed; the page's feed is http://127.0.0.1:PORT/f.xml",
        ),
        (FeedReply(b'{"items": 7}'), "it has no list `items`"),
        (FeedReply(b'{"items": ['), "it is no JSON"),
        (FeedReply(b"\x89PNG\r\n\x1a\n\x00\x01"), "neither RSS, Atom nor JSON Feed"),
        (gzip_bomb(50_000_000), "more than 1,000,000 bytes"),
        (FeedReply(items(1), missing_bytes=1), "broken off"),
        (redirect("http://10.1.2.3/feed"), "it is not of the public Internet"),
        (redirect("/wrong/here"), "redirected more than 5 times"),
    ],
)
def test_what_is_no_feed_is_a_failure_with_a_reason(
    server: FeedServer, fetcher: HttpFeedFetcher, reply: FeedReply, reason: str
) -> None:
    """Never an exception."""
    fetched = Asking(fetcher, server.serve("/wrong/here", reply)).ask()
    assert (fetched.outcome, fetched.articles, fetched.state.failures) == ("failed", [], 1)
    assert reason.replace("PORT", str(server.port)) in str(fetched.reason)


def test_a_compressed_feed_is_read(server: FeedServer, fetcher: HttpFeedFetcher) -> None:
    """As most are sent."""
    assert titles(Asking(fetcher, server.serve("/zip", gzipped(items(1)))).ask()) == ["Ferry 1"]


def test_a_reader_that_gives_up_is_a_failure(server: FeedServer) -> None:
    """It may run in a process that is ended."""

    def parse(_: FeedDocument) -> ParsedFeed:
        raise FeedUnreadable("it took more than 5 s")

    with made_fetcher(parse) as fetcher:
        fetched = Asking(fetcher, server.serve("/long", FeedReply(items(1)))).ask()
    assert (fetched.outcome, fetched.reason) == ("failed", "it took more than 5 s")


def test_a_document_without_end_is_said_to_be_cut(server: FeedServer) -> None:
    """The rest of it is never read."""
    one = parse_feed(FeedDocument(items(1), "https://a.example/")).items

    def parse(_: FeedDocument) -> ParsedFeed:
        return ParsedFeed(None, None, None, one * 10_001)

    with made_fetcher(parse) as fetcher:
        fetched = Asking(fetcher, server.serve("/endless", FeedReply(items(1)))).ask()
    assert fetched.reason == "only the first 10,000 of its items are read"
    assert len(fetched.articles) == 1
