"""Whatever kills `newsieve ingest feeds`, each version of an article is on the raw topic once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from newsieve.devbroker.broker import Broker
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve_schemas.topics import topics
from tests.support.feed_server import FeedReply, FeedRequest, feed_server, rss, rss_item
from tests.support.killed_ingester import SLOTS
from tests.support.raw_topic import committed_articles
from tests.support.workers import ROOT

FEEDS = 200
KILLS = 20
CHANGES = 2
ITEMS = 100  # a feed has fewer


def changing(feed: int) -> Callable[[FeedRequest], FeedReply]:
    """A feed that has another item and another version of its first item with each of its first
    requests, and does not change from then on."""
    asked = 0

    def behave(_: FeedRequest) -> FeedReply:
        nonlocal asked
        asked = min(asked + 1, CHANGES)
        items = [rss_item(feed * ITEMS, f"<p>Version {asked}.</p>")]
        items += [rss_item(feed * ITEMS + number) for number in range(1, asked + 1)]
        return FeedReply(rss(items))

    return behave


def test_killed_twenty_times_no_item_is_lost_and_none_is_there_twice(
    broker: Broker, prefix: str, tmp_path: Path
) -> None:
    """Four ingesters share 200 feeds that keep changing, and are killed around answers and commits.
    Every item is on the topic, no version of one twice, the versions in their order, and the last
    one last."""
    TopicAdmin(Cluster(broker.bootstrap_servers, {})).create(topics(prefix, {}))
    with feed_server() as server:
        urls = [server.serve(f"/{feed}", changing(feed)) for feed in range(FEEDS)]
        feeds = tmp_path / "feeds.txt"
        feeds.write_text("\n".join(urls))
        settings = {
            "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
            "NEWSIEVE_KAFKA__TOPIC_PREFIX": prefix,
            "NEWSIEVE_KAFKA__STATIC_MEMBERSHIP": "true",  # or each start waits for a dead member
            "NEWSIEVE_INGEST__GROUP": prefix,
            "NEWSIEVE_INGEST__ALLOWED_TARGETS": "127.0.0.1",
            "NEWSIEVE_INGEST__HOST_GAP_SECONDS": "0",
            "NEWSIEVE_INGEST__MIN_INTERVAL_SECONDS": "0.01",
        }
        command = [sys.executable, "-m", "tests.support.killed_ingester", str(feeds), str(KILLS)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2_000:]
    runs = [line.split() for line in done.stdout.splitlines() if line.startswith("run ")]
    assert sorted(run[1] for run in runs) == ["-9"] * KILLS + ["0"] * SLOTS
    assert sum(int(run[3]) > int(run[4]) for run in runs) > 2, "too few were killed in a commit"

    found = committed_articles(broker.bootstrap_servers, f"{prefix}.raw")
    versions: dict[str, list[str]] = {}
    for article in found:
        versions.setdefault(article["id"], []).append(article["content"])
    expected = {
        f"https://harbour.example/news/{feed * ITEMS + number}"
        for feed in range(FEEDS)
        for number in range(CHANGES + 1)
    }
    assert versions.keys() == expected
    twice = Counter((article["id"], article["content"]) for article in found)
    assert [item for item, count in twice.items() if count > 1] == []
    for feed in range(FEEDS):
        seen = versions[f"https://harbour.example/news/{feed * ITEMS}"]
        assert seen == sorted(seen)
        assert seen[-1] == f"<p>Version {CHANGES}.</p>"
    assert sum(len(seen) > 1 for seen in versions.values()) > FEEDS / 2, "too little changed"
