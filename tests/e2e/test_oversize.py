"""Records that no topic takes: a dead letter instead, and never half an outcome."""

from __future__ import annotations

import json

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from tests.support.reader import hanging_transactions
from tests.support.stream import Stream

LIMIT_BYTES = 100_000


def limit(servers: str, topic: str, size: int) -> None:
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": servers})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def article(name: str, characters: int) -> tuple[bytes, bytes]:
    """Text that does not compress, since brokers count compressed bytes."""
    text = "".join(chr(0x4E00 + (i * i * 7919 + i * 31) % 20_000) for i in range(characters // 3))
    return name.encode(), json.dumps(
        {"id": name, "title": name, "content": text}, ensure_ascii=False
    ).encode()


def test_an_output_that_the_broker_refuses_becomes_a_dead_letter(stream: Stream) -> None:
    """The transaction is aborted, the article's neighbours come again and are scored once."""
    limit(stream.servers, f"{stream.prefix}.oracle.requests", LIMIT_BYTES)
    small = [article(f"small-{i}", 300) for i in range(20)]
    large = article("large", 600_000)
    stream.produce([*small[:10], large, *small[10:]])
    worker = stream.start_worker("a", sampling__low=1, sampling__surfaced=1)
    reader = stream.reader()

    outputs = reader.read_until(lambda o: len(o.scored) + len(o.letters) >= 21, 120)

    assert worker.terminate() == 0
    assert set(outputs.outcomes().values()) == {1}
    assert [(why["dlq.stage"], why["dlq.error"]) for why in outputs.letters] == [
        ("publish", "OutputTooLarge")
    ]
    assert outputs.letter_bodies == [large]
    assert {record["article"]["id"] for record in outputs.scored} == {n.decode() for n, _ in small}
    assert len(outputs.requests) == 20
    assert stream.committed() == stream.raw_ends()
    assert hanging_transactions(stream.servers, stream.prefix) == []
    reader.close()


def test_a_dead_letter_that_nobody_takes_stops_the_worker(stream: Stream) -> None:
    """Exit 1, and it says which setting mends it; the record is not passed over."""
    for topic in ("oracle.requests", "dead-letter"):
        limit(stream.servers, f"{stream.prefix}.{topic}", LIMIT_BYTES)
    stream.produce([article("large", 600_000)])
    worker = stream.start_worker("a", sampling__low=1, sampling__surfaced=1)

    assert worker.wait(120) == 1
    assert f"{stream.prefix}.dead-letter" in worker.text()
    assert "newsieve topics check" in worker.text()
    assert "Traceback" not in worker.text()
    assert stream.committed() == {}
