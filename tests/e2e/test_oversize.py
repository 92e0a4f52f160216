"""Records that a topic does not take."""

from __future__ import annotations

import json

from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.topics import configure

LIMIT_BYTES = 100_000


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
