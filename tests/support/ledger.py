"""A transactional producer that is ours, and a ledger of what it committed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

LETTERS = "d"  # the topic of dead letters


@dataclass
class Ledger:
    """What a read_committed reader and the group's next member would see."""

    outputs: list[tuple[int, int]] = field(default_factory=list)
    letters: list[tuple[int, int, str]] = field(default_factory=list)  # places and errors
    offsets: dict[int, int] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)  # what came with the offsets

    def assert_exactly_once(self) -> None:
        """Below each committed offset all outcomes, once; beyond it none."""
        assert len(set(self.outputs)) == len(self.outputs), "doubled"
        below = {(p, o) for p, end in self.offsets.items() for o in range(end)}
        assert set(self.outputs) == below, f"lost {below - set(self.outputs)}"


class LedgerProducer:
    """A transactional producer that can be told to fail."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pending: list[tuple[int, int]] = []
        self._letters: list[tuple[int, int, str]] = []
        self._offsets: dict[int, int] = {}
        self._notes: dict[int, str] = {}
        self.failing: dict[str, KafkaError] = {}
        self.init_error: KafkaError | None = None
        self.is_open = False
        self.complaints: list[KafkaError] = []

    @property
    def holds_records(self) -> bool:
        return bool(self._pending)

    def poll(self, _: float) -> int:
        return 0

    def __len__(self) -> int:
        return 0

    def init_transactions(self, _: float) -> None:
        if self.init_error is not None:
            raise KafkaException(self.init_error)

    def begin_transaction(self) -> None:
        self._forget()
        self.is_open = True

    def produce(
        self, topic: str, value: bytes, _key: bytes, headers: list[tuple[str, bytes]], **_: Any
    ) -> None:
        if topic.endswith(".scored"):
            place = json.loads(value)["input"]
            self._pending.append((place["partition"], place["offset"]))
        elif topic == LETTERS:
            why = {name: text.decode() for name, text in headers}
            place_of_it = int(why["dlq.partition"]), int(why["dlq.offset"])
            self._letters.append((*place_of_it, why["dlq.error"]))

    def send_offsets_to_transaction(
        self, offsets: list[TopicPartition], _metadata: bytes, _seconds: float
    ) -> None:
        self._maybe_fail("send_offsets")
        # An offset of 0 says no more than none.
        self._offsets = {item.partition: item.offset for item in offsets if item.offset}
        self._notes = {item.partition: item.metadata for item in offsets}

    def commit_transaction(self, _: float) -> None:
        self._maybe_fail("commit")
        self._ledger.outputs += self._pending
        self._ledger.letters += self._letters
        self._ledger.offsets |= self._offsets
        self._ledger.notes |= self._notes
        self.is_open = False

    def flush(self, _: float) -> int:
        return 0

    def abort_transaction(self, _: float) -> None:
        self._maybe_fail("abort")
        self._forget()
        self.is_open = False

    def purge(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._pending, self._letters, self._offsets, self._notes = [], [], {}, {}

    def _maybe_fail(self, call: str) -> None:
        error = self.failing.pop(call, None)
        if error is not None:
            raise KafkaException(error)


class Always(dict[str, KafkaError]):
    """What a producer's calls fail with, each time that they are about records."""

    def __init__(self, producer: LedgerProducer, **calls: KafkaError) -> None:
        super().__init__(calls)
        self._producer = producer

    def pop(self, call: str, default: Any = None) -> Any:
        return self.get(call, default) if self._producer.holds_records else default
