"""Records, batches and groups that are larger, or other, than a worker can take."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from newsieve.devbroker.broker import Broker
from newsieve.errors import GroupOccupied
from newsieve.kafka.config import Cluster, Partition
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from tests.hostile.metered import Metered, Watched, metered, usage_of
from tests.hostile.squatter import BOMB_RECORDS, STRANGER, Squatter, join_as, unfolding
from tests.support.impatience import limits
from tests.support.stream import Stream
from tests.support.topics import unique_prefix
from tests.support.workers import WorkerProcess

MEGABYTE = 1_000_000
LARGE_BYTES = 9 * MEGABYTE
# Torch and the client some 900, the batch unfolded 390, the rest is ours. Without a bound on what
# is in flight it was 2,100.
BOMB_MOST_BYTES = 1_500 * MEGABYTE
ROOMY = json.dumps({"message.max.bytes": 16 * MEGABYTE})
START_SECONDS = 240  # and to do its work, on a machine that is busy with other tests
WAIT_SECONDS = 30
LATE_SECONDS = 3

pytestmark = pytest.mark.usefixtures("doomed")


@pytest.fixture
def stream(broker: Broker, tmp_path: Path, tiny_student: Path) -> Iterator[Stream]:
    found = Stream(broker.bootstrap_servers, unique_prefix(), tmp_path, {"uplifting": tiny_student})
    yield found
    found.close()


@dataclass
class Doomed:
    """Workers that end after a minute, while other tests run."""

    workers: dict[str, WorkerProcess]
    streams: dict[str, Stream]
    watched: dict[str, Watched]


@pytest.fixture(scope="module")
def doomed(
    broker: Broker, tmp_path_factory: pytest.TempPathFactory, tiny_student: Path
) -> Iterator[Doomed]:
    servers, closing = broker.bootstrap_servers, list[Callable[[], None]]()
    found = Doomed({}, {}, {})
    for name in ("assignor", "batch"):
        folder = tmp_path_factory.mktemp("doomed")
        stream = Stream(servers, unique_prefix(), folder, {"uplifting": tiny_student})
        closing.append(stream.close)
        if name == "batch":
            unfolding(servers, stream.raw_topic, "zstd", 3)
        else:
            options = {"partition.assignment.strategy": "range"}
            squatter = Squatter(servers, stream.prefix, stream.raw_topic, options)
            closing.append(squatter.close)
            assert squatter.is_there.wait(30)
        worker = stream.start_worker(name)
        found.streams[name], found.workers[name] = stream, worker
        found.watched[name] = Watched(worker.process.pid)
    yield found
    for close in closing:
        close()


def assert_little_was_used(watched: Watched) -> None:
    """While it waited or tried again, beside its start."""
    watched.join()
    assert watched.usage.cpu_seconds < 60
    assert watched.usage.peak_bytes < BOMB_MOST_BYTES


def command(stream: Stream, *arguments: str, **more: object) -> Metered:
    program = [sys.executable, "-m", "newsieve", *arguments]
    return metered(program, env=stream.environment(**more), seconds=START_SECONDS)


def test_records_too_large_for_a_dead_letter_are_dead_letters_and_come_back_whole(
    stream: Stream,
) -> None:
    """By value, by headers, by key. With limits that take them they are replayed as they were;
    until then they are left where they are, which is said."""
    roomy = {"message.max.bytes": 16 * MEGABYTE, "compression.type": "lz4"}
    producer = Producer({"bootstrap.servers": stream.servers, **roomy})
    article = b'{"id": "a", "title": "A quiet day"}'
    padded = article + b" " * LARGE_BYTES
    large: Any = [("small", b"1"), ("large", bytes(LARGE_BYTES))]
    producer.produce(stream.raw_topic, padded, b"k", headers=[("small", b"1")])
    producer.produce(stream.raw_topic, b"{", b"k", headers=large)
    producer.produce(stream.raw_topic, b"{", bytes(LARGE_BYTES))
    producer.produce(stream.raw_topic, article, b"k")
    assert producer.flush(60) == 0

    worker = stream.start_worker("a")
    reader = stream.reader()
    outputs = reader.read_until(lambda o: len(o.letters) == 3 and len(o.scored) == 1, START_SECONDS)
    used = usage_of(worker.process.pid)
    assert worker.terminate() == 0, worker.text()[-2_000:]
    assert used.peak_bytes < 1_500 * MEGABYTE and used.cpu_seconds < 40
    assert sorted(letter["dlq.truncated"] for letter in outputs.letters) == [
        *("1", "1"),
        str(len(padded)),
    ]

    listed = command(stream, "dlq", "list", "--records")
    assert listed.code == 0 and str(len(padded)) in listed.out.decode()
    left = command(stream, "dlq", "replay", "--error", "TooLarge")
    assert b"replayed 0 dead letters" in left.out
    assert "1 dead letters are left where they are: their record is larger than" in left.err
    back = command(stream, "dlq", "replay", "--error", "TooLarge", kafka__options=ROOMY)
    assert b"replayed 1 dead letters" in back.out, back.err

    worker = stream.start_worker(
        "a", worker__max_record_bytes=2 * LARGE_BYTES, kafka__options=ROOMY
    )
    outputs = reader.read_until(lambda o: len(o.scored) == 2, START_SECONDS)
    assert worker.terminate() == 0
    assert {item["article"]["id"] for item in outputs.scored} == {"a"}
    reader.close()


def test_a_batch_that_unfolds_to_legal_articles_is_scored_within_bounded_memory(
    stream: Stream,
) -> None:
    """librdkafka unfolds a batch at once, 390 MB; what we make of its records stays small."""
    unfolding(stream.servers, stream.raw_topic, "gzip", 0)
    worker = stream.start_worker("a")
    reader = stream.reader()
    outputs = reader.read_until(lambda o: len(o.scored) == BOMB_RECORDS, START_SECONDS)
    used = usage_of(worker.process.pid)
    assert worker.terminate() == 0, worker.text()[-2_000:]
    reader.close()

    assert set(outputs.outcomes().values()) == {1}
    assert used.peak_bytes < BOMB_MOST_BYTES
    assert used.cpu_seconds < 60


def test_who_keeps_a_group_from_its_workers_is_named(doomed: Doomed) -> None:
    """They wait a minute for it to go away, then end with 1; `newsieve doctor` says the same."""
    worker = doomed.workers["assignor"]
    assert worker.wait(START_SECONDS) == 1, worker.text()[-2_000:]
    last = worker.text().splitlines()[-1]
    assert f"client.id '{STRANGER}' from /127.0.0.1 with 6 partitions" in last
    assert "assignor 'range'" in last and "Stop them" in last
    assert "Traceback" not in worker.text()
    assert worker.text().count("group.occupied") > 3

    assert_little_was_used(doomed.watched["assignor"])
    report = command(doomed.streams["assignor"], "doctor", "--json")
    assert report.code == 1 and STRANGER.encode() in report.out


def test_a_batch_that_cannot_be_unfolded_ends_the_worker_with_its_place(doomed: Doomed) -> None:
    """zstd is refused beyond receive.message.max.bytes, 100 MB; nothing is passed over."""
    worker, stream = doomed.workers["batch"], doomed.streams["batch"]

    assert worker.wait(START_SECONDS) == 1, worker.text()[-2_000:]
    last = worker.text().splitlines()[-1]
    assert f"{stream.raw_topic}/3 from offset 0" in last
    assert "receive.message.max.bytes" in last and "runbook" in last
    assert stream.committed() == {}
    assert_little_was_used(doomed.watched["batch"])


@dataclass
class Joining:
    """A consumer of ours in this process, and what ended it."""

    group: str
    options: dict[str, Any]
    failure: GroupOccupied | None = None
    is_enough: threading.Event = field(default_factory=threading.Event)

    def run(self, servers: str, topic: str) -> None:
        config = Cluster(servers, self.options).consumer(self.group)
        query = OffsetQuery(config, [topic], lambda: None)
        timeouts = limits(occupied_seconds=1.0, settling_seconds=1.0, look_again_seconds=1.0)
        consumer = GroupConsumer(config, topic, query, lambda _: None, timeouts=timeouts)
        consumer.subscribe(Idle())
        deadline = time.monotonic() + WAIT_SECONDS
        try:
            while time.monotonic() < deadline and not self.is_enough.is_set():
                consumer.poll(100, 0.2)
        except GroupOccupied as failure:
            self.failure = failure
        finally:
            consumer.close()


class Idle:
    """A listener with nothing in flight."""

    def before_revoke(self, partitions: Sequence[Partition]) -> None: ...

    def after_loss(self) -> None: ...


def test_every_way_into_a_group_is_seen_and_one_that_leads_nowhere_hurts_nobody(
    stream: Stream,
) -> None:
    """Classic and KIP-848, whoever comes first; a group that is none of consumers. Who comes with
    another assignor while ours is at work is refused by the broker, and ours goes on."""
    servers, topic = stream.servers, stream.raw_topic
    kip_848 = {"group.protocol": "consumer"}
    sticky = {"partition.assignment.strategy": "cooperative-sticky"}
    ways: dict[str, tuple[dict[str, str] | str, dict[str, str]]] = {
        "classic twice": (sticky, {}),
        "848 and classic": (kip_848, {}),
        "classic and 848": (sticky, kip_848),
        "848 twice": (kip_848, kip_848),
        "connect": ("connect", {}),
        "connect and 848": ("connect", kip_848),
    }
    squatters: list[Squatter | socket.socket] = []
    joining = []
    for name, (theirs, ours) in ways.items():
        group = f"{stream.prefix}-{name.replace(' ', '-')}"
        joining.append(Joining(group, ours))
        if isinstance(theirs, str):
            squatters.append(join_as(servers, group, theirs))
        else:
            squatters.append(Squatter(servers, group, topic, theirs))
    joining.append(Joining(stream.prefix, {}))
    threads = [threading.Thread(target=item.run, args=(servers, topic)) for item in joining]
    for thread in threads:
        thread.start()
    time.sleep(LATE_SECONDS)
    late = {"partition.assignment.strategy": "range"}
    squatters.append(Squatter(servers, stream.prefix, topic, late))
    for thread in threads[:-1]:
        thread.join()
    joining[-1].is_enough.set()
    threads[-1].join()
    for squatter in squatters:
        squatter.close()

    *occupied, undisturbed = joining
    assert undisturbed.failure is None
    for item in occupied:
        assert item.failure is not None, item.group
        said = str(item.failure)
        assert item.group in said and (STRANGER in said or "of the protocol 'connect'" in said)
