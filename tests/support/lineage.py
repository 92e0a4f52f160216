"""Workers that die, one after another, over one log. A kill leaves nothing but what was committed.

The worker is the product's own, on scripted clients.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from newsieve.errors import DeadLetterLimit
from newsieve.inference.scorer import FilterScores
from newsieve.kafka.offset_query import OffsetQuery
from tests.support.fives import FivesScorer
from tests.support.impatience import limits
from tests.support.ledger import Ledger
from tests.support.scripted import Message, Scene, ScriptedConsumer, abortable

Place = tuple[int, int]
MOST_LIVES = 200


class Killed(BaseException):
    """The process is gone, at once."""


def killer(place: Place) -> bytes:
    return b'{"id": "k", "title": "kill %d/%d", "content": "Text."}' % place


def innocent(place: Place) -> bytes:
    return b'{"id": "a", "title": "read %d/%d", "content": "Text."}' % place


class KillingScorer(FivesScorer):
    """Dies of a killer, and by chance of nothing."""

    def __init__(self, chance: random.Random, mortality: float) -> None:
        super().__init__(is_held=False)
        self._chance = chance
        self._mortality = mortality

    def submit(
        self, texts: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        if any("kill" in text for text in texts) or self._chance.random() < self._mortality:
            raise Killed
        return super().submit(texts, wanted)


class LogConsumer(ScriptedConsumer):
    """Gives the log's records from where the ledger stands, and where it is sent."""

    def __init__(
        self,
        log: Mapping[int, Sequence[bytes]],
        ledger: Ledger,
        unrest: Callable[[LogConsumer], None],
    ) -> None:
        """`unrest` is what befalls it before it looks for records."""
        super().__init__([])
        self._unrest = unrest
        self._log = log
        self._at = {n: ledger.offsets.get(n, 0) for n in log}
        self._has_joined = False
        self._ledger = ledger

    def consume(self, count: int, _seconds: float) -> list[Message]:
        if not self._has_joined:
            self._has_joined = True
            self.assign(*self._log)
        self._unrest(self)
        found = [
            Message(n, at, self._log[n][at])
            for n, begin in self._at.items()
            for at in range(begin, len(self._log[n]))
        ][:count]
        for message in found:
            self._at[message.partition()] = message.offset() + 1
        return found

    def seek(self, at: Any) -> None:
        self._at[at.partition] = at.offset

    def leave_and_come_back(self, partition: int) -> None:
        self.revoke(partition)
        self._at[partition] = self._ledger.offsets.get(partition, 0)
        self.assign(partition)

    @property
    def is_over(self) -> bool:
        ends = {n: len(values) for n, values in self._log.items() if values}
        return self._has_joined and self._ledger.offsets == ends


@dataclass
class Lineage:
    """One worker after another."""

    log: Mapping[int, Sequence[bytes]]
    mortality: float = 0.0  # of whoever scores, each time
    unrest: float = 0.0  # how likely a rebalance is at each look for records, and a failed commit
    seed: int = 0
    ledger: Ledger = field(default_factory=Ledger)
    deaths: int = 0
    stops: list[str] = field(default_factory=list)

    def run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until one has worked to the end."""
        monkeypatch.setattr(OffsetQuery, "require_topics", lambda _: None)
        chance = random.Random(self.seed)
        for _ in range(MOST_LIVES):
            scene = Scene([], ledger=self.ledger, commit_seconds=0)
            scene.consumer = LogConsumer(self.log, self.ledger, self._unrest(scene, chance))
            scene.scorer = KillingScorer(chance, self.mortality)
            scene.timeouts = limits(backoff_seconds=0)
            try:
                scene.run(monkeypatch)
                return
            except Killed:
                self.deaths += 1
            except DeadLetterLimit as stop:
                self.stops.append(str(stop))
        raise AssertionError(f"{self.ledger} after {MOST_LIVES} lives")

    def _unrest(self, scene: Scene, chance: random.Random) -> Callable[[LogConsumer], None]:
        def befall(consumer: LogConsumer) -> None:
            if chance.random() < self.unrest:
                scene.producer.failing = {chance.choice(["commit", "send_offsets"]): abortable()}
            if chance.random() < self.unrest:
                consumer.leave_and_come_back(chance.choice(list(self.log)))

        return befall

    @property
    def blamed(self) -> set[Place]:
        return {(partition, offset) for partition, offset, _ in self.ledger.letters}

    def assert_exactly_once(self) -> None:
        """Each record is scored or a dead letter, once."""
        places = {(n, at) for n, values in self.log.items() for at in range(len(values))}
        assert len(self.ledger.letters) == len(self.blamed)
        assert sorted([*self.ledger.outputs, *self.blamed]) == sorted(places)
        assert {error for _, _, error in self.ledger.letters} <= {"KilledWorker"}
        ends = {n: len(values) for n, values in self.log.items() if values}
        assert self.ledger.offsets == ends


def log_of(sizes: Sequence[int], killers: set[Place]) -> dict[int, list[bytes]]:
    return {
        n: [(killer if (n, at) in killers else innocent)((n, at)) for at in range(size)]
        for n, size in enumerate(sizes)
    }
