"""An independent reader: shares no code with the worker, reads committed records only."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition


@dataclass
class Outputs:
    """What a subscriber sees of one run."""

    scored: list[dict[str, Any]] = field(default_factory=list)
    tiered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, str]] = field(default_factory=list)
    letter_bodies: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    event_ids: list[str] = field(default_factory=list)

    def outcomes(self) -> Counter[tuple[int, int, str]]:
        """How often each (partition, offset, filter) has an outcome; "" is no filter."""
        seen: Counter[tuple[int, int, str]] = Counter()
        for record in self.scored:
            place = record["input"]
            seen[place["partition"], place["offset"], record["filter"]] += 1
        for why in self.letters:
            seen[int(why["dlq.partition"]), int(why["dlq.offset"]), why.get("dlq.filter", "")] += 1
        return seen

    def offsets_by_key(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """For each article and filter, the raw positions in the order of their outputs."""
        found: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for record in self.scored:
            place = (record["input"]["partition"], record["input"]["offset"])
            found[record["article"]["id"], record["filter"]].append(place)
        return found


class CommittedReader:
    """Follows all output topics of a prefix from the beginning."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self._prefix = prefix
        config = {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"reader-{prefix}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
        self._consumer = Consumer(config)
        self._asking = Consumer(config)  # behind the other's waiting fetches answers take 0.5 s
        known = self._consumer.list_topics(timeout=20).topics
        inputs = {f"{prefix}.raw", f"{prefix}.control"}
        self._partitions = [
            TopicPartition(name, partition, 0)
            for name, topic in known.items()
            if name.startswith(f"{prefix}.") and name not in inputs
            for partition in topic.partitions
        ]
        self._consumer.assign(self._partitions)
        self._read_up_to = {(p.topic, p.partition): 0 for p in self._partitions}
        self.outputs = Outputs()

    def read_until(self, is_done: Callable[[Outputs], bool], seconds: float) -> Outputs:
        """Read until the condition holds, then to the end. Fails when it does not in time."""
        deadline = time.monotonic() + seconds
        while not is_done(self.outputs):
            if time.monotonic() > deadline:
                counts = {k: len(v) for k, v in vars(self.outputs).items()}
                raise AssertionError(f"not done after {seconds} s: {counts}")
            self._poll(0.2)
        return self.read_to_end()

    def read_to_end(self) -> Outputs:
        """Everything that is committed now."""
        ends = {(p.topic, p.partition): self._last_offset(p) for p in self._partitions}
        deadline = time.monotonic() + 60
        while unread := {p: end for p, end in ends.items() if self._read_up_to[p] < end}:
            assert time.monotonic() < deadline, f"the end is out of reach: {unread}"
            self._poll(0.2)
        return self.outputs

    def close(self) -> None:
        self._consumer.close()
        self._asking.close()

    def _last_offset(self, partition: TopicPartition) -> int:
        low, high = self._asking.get_watermark_offsets(partition, timeout=20)
        return high if high > low else 0

    def _poll(self, seconds: float) -> None:
        for message in self._consumer.consume(500, seconds):
            error = message.error()
            place = (message.topic(), message.partition())
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                self._read_up_to[place] = message.offset()
            else:
                self._add(message.topic().removeprefix(f"{self._prefix}."), message)

    def _add(self, topic: str, message: Any) -> None:
        headers = {name: (value or b"").decode() for name, value in message.headers() or []}
        if topic == "dead-letter":
            self.outputs.letters.append(headers)
            self.outputs.letter_bodies.append((message.key(), message.value()))
            return
        value = json.loads(message.value())
        self.outputs.event_ids.append(headers["ce_id"])
        if topic == "scored":
            self.outputs.scored.append(value)
        elif topic == "oracle.requests":
            self.outputs.requests.append(value)
        elif topic.startswith("tier."):
            self.outputs.tiered.append((topic, value))


def hanging_transactions(bootstrap_servers: str, prefix: str) -> list[str]:
    """Output partitions whose last stable offset is behind their high watermark."""
    common = {"bootstrap.servers": bootstrap_servers, "group.id": "lso"}
    committed = Consumer(common | {"isolation.level": "read_committed"})
    everything = Consumer(common | {"isolation.level": "read_uncommitted"})
    found = []
    for name, topic in committed.list_topics(timeout=20).topics.items():
        if name.startswith(f"{prefix}.") and name != f"{prefix}.raw":
            for partition in topic.partitions:
                place = TopicPartition(name, partition)
                stable = committed.get_watermark_offsets(place, timeout=20)[1]
                if stable < everything.get_watermark_offsets(place, timeout=20)[1]:
                    found.append(f"{name}/{partition}")
    committed.close()
    everything.close()
    return found


def records_of(bootstrap_servers: str, prefix: str) -> dict[str, bytes]:
    """All that any record holds, keys and headers too, aborted ones among them, by topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "records",
            "isolation.level": "read_uncommitted",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    known = consumer.list_topics(timeout=20).topics.items()
    unread = {
        (name, partition)
        for name, topic in known
        if name.startswith(f"{prefix}.")
        for partition in topic.partitions
    }
    consumer.assign([TopicPartition(*place, 0) for place in unread])
    held: dict[str, list[bytes]] = {}
    while unread:
        for message in consumer.consume(500, 0.2):
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                unread.discard((message.topic(), message.partition()))
                continue
            headers = [part for name, value in message.headers() or [] for part in (name, value)]
            parts = [message.key(), message.value(), *headers]
            texts = [part.encode() if isinstance(part, str) else part or b"" for part in parts]
            held.setdefault(message.topic().removeprefix(f"{prefix}."), []).extend(texts)
    consumer.close()
    return {topic: b"\n".join(texts) for topic, texts in held.items()}
