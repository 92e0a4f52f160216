"""What was written down is read back whole, once nobody can still be writing it."""

from __future__ import annotations

import threading
import time

from confluent_kafka import Producer

from newsieve.devbroker.broker import Broker
from newsieve.kafka.admin import TopicAdmin
from newsieve.kafka.config import Cluster
from newsieve.kafka.state_topic import headers, last_records, latest_by_key, partition_count
from newsieve_schemas.topics import topics


def transaction(broker: Broker, name: str) -> Producer:
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "transactional.id": name, "linger.ms": 0}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    return producer


def test_a_predecessors_open_transaction_is_waited_for(broker: Broker, prefix: str) -> None:
    """Its last record counts once it is committed; an aborted one does not."""
    cluster = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(cluster).create(topics(prefix, {}))
    control, scores = f"{prefix}.control", f"{prefix}.oracle.scores"
    assert latest_by_key(cluster, control, {b"a"}, lambda: None) == {}
    earlier = transaction(broker, f"{prefix}-1")
    for key, value in ((b"a", b"old"), (b"b", b"gone"), (b"b", None), (b"c", b"others")):
        earlier.produce(control, value, key)
    for number in range(12):
        earlier.produce(scores, str(number).encode(), str(number).encode())
    earlier.commit_transaction(20)
    aborted = transaction(broker, f"{prefix}-2")
    aborted.produce(control, b"aborted", b"a")
    aborted.flush(20)
    aborted.abort_transaction(20)
    pending = transaction(broker, f"{prefix}-3")
    pending.produce(control, b"new", b"a")
    pending.flush(20)
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 3:  # it has waited, and goes on waiting until it is decided
            threading.Thread(target=pending.commit_transaction, args=(20,)).start()

    found = latest_by_key(cluster, control, {b"a", b"b"}, beat)

    assert found == {b"a": b"new"}
    assert len(beats) >= 3
    assert partition_count(cluster, scores) == 6
    assert sorted(last_records(cluster, scores, 100, lambda: None), key=int) == [
        str(number).encode() for number in range(12)
    ]
    assert 1 <= len(list(last_records(cluster, scores, 6, lambda: None))) <= 12
    assert len(list(headers(cluster, [control, scores], lambda: None))) == 4 + 1 + 12


def test_of_a_key_on_several_partitions_the_newest_record_counts(
    broker: Broker, prefix: str
) -> None:
    """In whichever order they are read: partitions were added since the first was written."""
    cluster = Cluster(broker.bootstrap_servers, {})
    TopicAdmin(cluster).create(topics(prefix, {}))
    feeds = f"{prefix}.feeds"
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    now = int(time.time() * 1_000)
    for key, newer, older in ((b"a", 0, 5), (b"b", 5, 0), (b"c", 3, 2)):
        producer.produce(feeds, b"old", key, partition=older, timestamp=now - 1_000)
        value = None if key == b"c" else b"new"
        producer.produce(feeds, value, key, partition=newer, timestamp=now)
    assert producer.flush(20) == 0

    assert latest_by_key(cluster, feeds, None, lambda: None) == {b"a": b"new", b"b": b"new"}
