"""Records and topics that a broker refuses: nothing a producer sets stops a worker."""

from __future__ import annotations

import json
import time
from typing import NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.support.articles import raw_records
from tests.support.cli import newsieve
from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.topics import configure
from tests.support.workers import WorkerProcess

UNREADABLE = b"{"
YEAR_MILLISECONDS = 365 * 24 * 3_600_000
NO_LIMIT = 2**63 - 1
NAMED_SECONDS = 60


class Record(NamedTuple):
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: dict[str, bytes | None]


def records_of(stream: Stream, topic: str) -> list[Record]:
    """All that are committed, a partition after another."""
    consumer = Consumer(
        {"bootstrap.servers": stream.servers, "group.id": "records", "enable.partition.eof": True}
    )
    name, found = f"{stream.prefix}.{topic}", list[tuple[int, int, Record]]()
    unread = set(consumer.list_topics(name, timeout=20).topics[name].partitions)
    consumer.assign([TopicPartition(name, number, 0) for number in unread])
    while unread:
        for message in consumer.consume(500, 0.2):
            if message.error() is not None:
                unread.discard(message.partition())
                continue
            headers = dict(message.headers() or [])
            record = Record(message.key(), message.value(), message.timestamp()[1], headers)
            found.append((message.partition(), message.offset(), record))
    consumer.close()
    return [record for *_, record in sorted(found, key=lambda item: item[:2])]


def write_letter(stream: Stream, name: bytes, at: int) -> None:
    """A dead letter as a worker writes it, of a raw record of this time."""
    producer = Producer({"bootstrap.servers": stream.servers})
    why = [("dlq.stage", b"decode"), ("dlq.timestamp", str(at).encode())]
    producer.produce(f"{stream.prefix}.dead-letter", name, b"k", headers=why)
    assert producer.flush(20) == 0


def test_a_record_stops_no_worker_by_its_time_or_key_but_a_topics_limit_does(
    stream: Stream,
) -> None:
    """A time in the future, one in microseconds, no key where dead letters are compacted: a letter
    each, that says so. Replayed, they are what they were, and their next letters say the same.
    A limit that refuses whatever is written is named, and nothing is lost."""
    now = time.time_ns() // 1_000_000
    hostile = [(b"future", now + YEAR_MILLISECONDS), (b"micro", now * 1_000), (None, now)]
    configure(stream.servers, stream.raw_topic, "message.timestamp.after.max.ms", NO_LIMIT)
    configure(stream.servers, f"{stream.prefix}.dead-letter", "cleanup.policy", "compact")
    for key, at in hostile:
        stream.produce([(key, UNREADABLE)], timestamp_ms=at)
    stream.produce(raw_records(20))
    worker = stream.start_worker("a")
    reader = stream.reader()

    outputs = reader.read_until(lambda o: len(o.letters) == 3 and len(o.scored) == 20, 60)

    said = {letter["dlq.timestamp"]: letter.get("dlq.key-made") for letter in outputs.letters}
    assert said == {str(at): None if key else "true" for key, at in hostile}
    letters = records_of(stream, "dead-letter")
    assert all(
        item.key and abs(item.timestamp - now) < YEAR_MILLISECONDS // 365 for item in letters
    )

    done = newsieve("dlq", "replay", env=stream.environment())
    assert (done.code, done.text) == (0, "replayed 3 dead letters\n")
    outputs = reader.read_until(lambda o: len(o.letters) == 6, 60)
    again = [letter for letter in outputs.letters if letter["dlq.attempts"] == "2"]
    assert {letter["dlq.timestamp"] for letter in again} == set(said)
    raw = [item for item in records_of(stream, "raw") if "dlq.attempts" in item.headers]
    assert sorted((item.key or b"", item.timestamp) for item in raw) == sorted(
        (key or b"", at) for key, at in hostile
    )
    assert None in {item.key for item in raw}

    reader.close()
    assert "transaction.aborted" not in worker.text()
    refuse_all(stream, worker)


def refuse_all(stream: Stream, worker: WorkerProcess) -> None:
    """By a limit on times: within a minute it is named, by log, exit code and `topics check`."""
    topic, scored = f"{stream.prefix}.scored", records_of(stream, "scored")
    configure(stream.servers, topic, "message.timestamp.before.max.ms", 1)
    committed = stream.committed()
    stream.produce(raw_records(20, seed=1))

    assert worker.wait(NAMED_SECONDS) == 1
    (aborted,) = worker.events("transaction.aborted")
    assert aborted["fault"] == "permanent" and f"topic {topic}" in str(aborted["reason"])
    last = worker.text().splitlines()[-1]
    assert topic in last and "message.timestamp.before.max.ms" in last
    found = newsieve("topics", "check", "--json", env=stream.environment()).json()
    assert (topic, "message.timestamp.before.max.ms") in {
        (item["topic"], item["what"].split()[0]) for item in found
    }
    moved_to = {partition: at for partition, at in stream.committed().items() if at}
    assert records_of(stream, "scored") == scored and moved_to == committed
    assert hanging_transactions(stream.servers, stream.prefix) == []


def test_a_record_whose_time_a_topic_no_longer_takes_is_replayed_with_the_present_one(
    stream: Stream,
) -> None:
    """Too old or too far ahead; those in between keep theirs. Once each."""
    now = time.time_ns() // 1_000_000
    an_hour = 3_600_000
    configure(stream.servers, stream.raw_topic, "message.timestamp.before.max.ms", an_hour)
    times = [now - 3 * YEAR_MILLISECONDS, now - 2 * an_hour, now - an_hour // 2, now * 1_000]
    for name, at in zip((b"years", b"hours", b"minutes", b"micro"), times, strict=True):
        write_letter(stream, name, at)

    done = newsieve("dlq", "replay", env=stream.environment())

    assert (done.code, done.text) == (0, "replayed 4 dead letters\n"), done.err
    assert "3 of them have the present time" in done.err
    raw = {item.value: item.timestamp for item in records_of(stream, "raw")}
    assert raw.pop(b"minutes") == times[2]
    assert len(raw) == 3 and all(at >= now for at in raw.values())
    assert newsieve("dlq", "replay", env=stream.environment()).text == "replayed 0 dead letters\n"


def test_topics_check_sees_limits_before_they_bite(stream: Stream) -> None:
    """Times, compaction, replicas, and the size that this producer's option allows."""
    prefix = stream.prefix
    configure(stream.servers, f"{prefix}.dead-letter", "cleanup.policy", "compact")
    configure(stream.servers, f"{prefix}.shadow", "message.timestamp.after.max.ms", 1_000)
    configure(stream.servers, f"{prefix}.canaries", "min.insync.replicas", 2)
    configure(stream.servers, f"{prefix}.scored", "message.timestamp.before.max.ms", 1_000)
    configure(stream.servers, f"{prefix}.scored", "message.timestamp.type", "LogAppendTime")

    def check(**options: int) -> set[tuple[str, str]]:
        env = stream.environment(kafka__options=json.dumps(options))
        done = newsieve("topics", "check", "--json", env=env)
        assert all(item["mend"].startswith("kafka-configs --alter") for item in done.json())
        return {(item["topic"].removeprefix(f"{prefix}."), item["what"]) for item in done.json()}

    found = dict(check())
    assert found.keys() == {"dead-letter", "shadow", "canaries"}
    assert "of records with one key only the latest stays" in found["dead-letter"]
    assert "message.timestamp.after.max.ms is 1,000, less than 60,000" in found["shadow"]
    assert "min.insync.replicas is 2, with 1 replicas" in found["canaries"]
    larger = check(**{"message.max.bytes": 9_000_000})
    assert ("raw", "max.message.bytes is 8,388,608, less than 9,000,000") in larger
