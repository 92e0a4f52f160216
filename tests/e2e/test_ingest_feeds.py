"""`newsieve ingest feeds` as an operator runs it: from feeds to scored articles, by one or two."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.feed_server import FeedServer, conditional, feed_server, rss, rss_item
from tests.support.raw_topic import committed_articles
from tests.support.stream import Stream
from tests.support.workers import IngestProcess

FEEDS = 30
ITEMS = 3
SECONDS = 60


def start(stream: Stream, slot: str, **more: object) -> IngestProcess:
    """Ask the feeds that are listed in the stream's folder."""
    settings = {
        "ingest__group": f"{stream.prefix}-ingest",
        "ingest__slot": slot,
        "ingest__allowed_targets": "127.0.0.1",
        "ingest__host_gap_seconds": 0,
        **more,
    }
    log = stream.folder / f"ingest-{slot}.log"
    ingester = IngestProcess(log, stream.environment(**settings), "feeds", "feeds.txt")
    stream.workers.append(ingester)
    return ingester


def serve(server: FeedServer, stream: Stream, version: Callable[[int], int]) -> None:
    """Serve feeds whose items all change with their version, and list them."""

    def body(feed: int) -> Callable[[], bytes]:
        return lambda: rss(
            rss_item(feed * ITEMS + item, f"<p>Version {version(feed)}.</p>")
            for item in range(ITEMS)
        )

    urls = [server.serve(f"/{feed}", conditional(body(feed))) for feed in range(FEEDS)]
    (stream.folder / "feeds.txt").write_text("\n".join(urls))


def wait_for(stream: Stream, articles: int) -> list[dict[str, Any]]:
    """Wait until so many articles are committed, and return them."""
    deadline = time.monotonic() + SECONDS
    while len(found := committed_articles(stream.servers, stream.raw_topic)) < articles:
        assert time.monotonic() < deadline, f"{len(found)} of {articles}"
        time.sleep(0.1)
    return found


def test_articles_of_feeds_come_out_on_tier_topics(stream: Stream) -> None:
    """An ingester and a worker are all that it takes; SIGTERM ends both well."""
    with feed_server() as server:
        serve(server, stream, lambda _: 1)
        ingester = start(stream, "0")
        worker = stream.start_worker("0")
        reader = stream.reader()
        outputs = reader.read_until(lambda o: len(o.scored) >= FEEDS * ITEMS, SECONDS)
        reader.close()
        assert ingester.terminate() == 0, ingester.text()[-2_000:]
        assert worker.terminate() == 0

    ids = [record["article"]["id"] for record in outputs.scored]
    assert sorted(ids) == sorted(
        f"https://harbour.example/news/{number}" for number in range(FEEDS * ITEMS)
    )
    assert {record["article"]["source"] for record in outputs.scored} == {"Harbour News"}
    assert {record["article"]["language"] for record in outputs.scored} == {"en-GB"}
    assert outputs.tiered
    assert not outputs.letters


def test_two_ingesters_share_the_feeds_and_hand_them_over(stream: Stream) -> None:
    """While one joins and leaves, each version of each article comes once."""
    versions = dict.fromkeys(range(FEEDS), 1)
    often = {"ingest__min_interval_seconds": 0.2}

    def change() -> None:
        for feed in versions:
            versions[feed] += 1

    with feed_server() as server:
        serve(server, stream, lambda feed: versions[feed])
        first = start(stream, "0", **often)
        wait_for(stream, FEEDS * ITEMS)
        second = start(stream, "1", **often)
        second.wait_until("feeds.restored")
        change()
        wait_for(stream, 2 * FEEDS * ITEMS)
        shared = [sum(map(articles_of, p.events("transaction.committed"))) for p in (first, second)]
        assert second.terminate() == 0, second.text()[-2_000:]
        change()
        found = wait_for(stream, 3 * FEEDS * ITEMS)
        assert first.terminate() == 0, first.text()[-2_000:]

    assert all(articles > 0 for articles in shared)
    counts = Counter((article["id"], article["content"]) for article in found)
    assert set(counts.values()) == {1}
    assert len(counts) == 3 * FEEDS * ITEMS


def articles_of(event: dict[str, object]) -> int:
    count = event["articles"]
    assert isinstance(count, int)
    return count
