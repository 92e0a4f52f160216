"""Records that a topic does not take."""

from __future__ import annotations

import json

from confluent_kafka import Producer

from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.topics import configure

LIMIT_BYTES = 100_000
LARGE_BYTES = 9 * 1024 * 1024


def limit(servers: str, topic: str, size: int) -> None:
    configure(servers, topic, "max.message.bytes", size)


def article(name: str, characters: int) -> tuple[bytes, bytes]:
    """Text that does not compress, since brokers count compressed bytes."""
    text = "".join(chr(0x4E00 + (i * i * 7919 + i * 31) % 20_000) for i in range(characters // 3))
    return name.encode(), json.dumps(
        {"id": name, "title": name, "content": text}, ensure_ascii=False
    ).encode()


def test_a_topic_that_takes_too_little_stops_the_worker_and_loses_nothing(stream: Stream) -> None:
    """Exit 1, with what mends it; once it is mended, every article is scored once."""
    topic = f"{stream.prefix}.oracle.requests"
    limit(stream.servers, topic, LIMIT_BYTES)
    records = [article(f"a-{i}", 300) for i in range(20)] + [article("large", 600_000)]
    stream.produce(records)
    worker = stream.start_worker("a", sampling__low=1, sampling__surfaced=1)

    assert worker.wait(120) == 1
    assert topic in worker.text() and "newsieve topics check" in worker.text()
    assert "Traceback" not in worker.text()

    limit(stream.servers, topic, 8 * 1024 * 1024)
    worker = stream.start_worker("a", sampling__low=1, sampling__surfaced=1)
    reader = stream.reader()
    outputs = reader.read_until(lambda o: len(o.requests) >= 21, 120)
    assert worker.terminate() == 0
    assert set(outputs.outcomes().values()) == {1} and len(outputs.scored) == 21
    assert stream.committed() == stream.raw_ends()
    assert hanging_transactions(stream.servers, stream.prefix) == []
    reader.close()


def test_a_record_that_grew_beyond_the_limit_stops_the_worker_until_the_option_is_raised(
    stream: Stream,
) -> None:
    """Brokers count compressed bytes, producers plain ones. Exit 1, with what mends it."""
    roomy = {"message.max.bytes": 16 * 1024 * 1024}
    producer = Producer({"bootstrap.servers": stream.servers, "compression.type": "lz4", **roomy})
    trace: list[tuple[str, str | bytes | None]] = [("traceparent", b"0" * LARGE_BYTES)]
    producer.produce(stream.raw_topic, b'{"id": "a", "title": "A quiet day"}', headers=trace)
    producer.produce(stream.raw_topic, b" " * LARGE_BYTES)
    assert producer.flush(30) == 0

    worker = stream.start_worker("a")
    assert worker.wait(120) == 1
    assert "Raise message.max.bytes in kafka.options and max.message.bytes on" in worker.text()
    assert "Traceback" not in worker.text()

    worker = stream.start_worker("a", kafka__options=json.dumps(roomy))
    reader = stream.reader()
    outputs = reader.read_until(lambda o: len(o.letters) == len(o.scored) == 1, 120)
    assert worker.terminate() == 0
    assert outputs.letters[0]["dlq.error"] == "TooLarge"
    reader.close()
