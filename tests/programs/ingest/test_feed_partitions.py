"""A feed belongs to one partition, that of its state, and so to one ingester."""

from __future__ import annotations

from newsieve.devbroker.broker import Broker
from newsieve.feeds.feed import Feed
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster, make_producer
from newsieve.programs.ingest.feed_partitions import feeds_of, partition_of
from newsieve_schemas.topics import PARTITIONS, topics

URLS = [f"https://site-{number}.example/flux é.xml?n={number}" for number in range(60)]


def test_it_is_the_partition_that_our_producers_put_its_state_on(
    broker: Broker, prefix: str
) -> None:
    """So a feed's states are compacted, and found beside each other."""
    cluster = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(cluster).create(topics(prefix, {}))
    config = cluster.producer({"linger.ms": 5}) | {"delivery.report.only.error": False}
    config.pop("transaction.timeout.ms")
    producer = make_producer(config)
    landed: dict[str, int] = {}
    for url in URLS:
        producer.produce(
            f"{prefix}.feeds",
            b"{}",
            url.encode(),
            on_delivery=lambda _, message: landed.update(
                {message.key().decode(): message.partition()}
            ),
        )
    assert producer.flush(20) == 0

    assert landed == {url: partition_of(url, PARTITIONS) for url in URLS}


def test_each_feed_has_one_owner() -> None:
    """Whoever owns which partitions."""
    feeds = [Feed(url) for url in URLS]
    first, second = feeds_of(feeds, {0, 1, 2}, 6), feeds_of(feeds, {3, 4, 5}, 6)

    assert not first.keys() & second.keys()
    assert first.keys() | second.keys() == set(URLS)
    assert min(len(first), len(second)) > len(URLS) / 4
