"""A real drift monitor on topics in memory, which can be killed at any moment.

Loop, session, monitors, runner, consumer and publisher are the product's own.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from newsieve.bootstrap.common import outcome_publisher
from newsieve.bootstrap.drift import load_filter_inputs, monitored_filters
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.input_records import EventReader
from newsieve.drift.monitor_state import Transition
from newsieve.drift.monitor_status import MonitorStatus, monitor_status
from newsieve.kafka import group_consumer
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.kafka.transactional_producer import TransactionalProducer
from newsieve.programs.drift.current_state import CurrentState
from newsieve.programs.drift.loop import DriftLoop, DriftLoopConfig
from newsieve.programs.drift.session import resume
from newsieve.settings.loader import load_settings
from newsieve.stream.exactly_once import ExactlyOnceRunner
from newsieve.stream.transaction_counts import TransactionCounts
from tests.support.drift_memory import (
    CONTROL,
    LATER,
    Death,
    Killed,
    Member,
    MemoryInputs,
    MemoryProducer,
    MemoryStateStore,
    Topics,
)


class Quiet:
    """An observer that remembers little."""

    def __init__(self) -> None:
        self.commits: list[TransactionCounts] = []
        self.aborts: list[str] = []
        self.at_hand: int | None = -1

    def heartbeat(self) -> None: ...

    def resumed(self, states: int, partitions: int) -> None: ...

    def alert_published(self, step: Transition) -> None: ...

    def committed(self, tally: TransactionCounts, _: float) -> None:
        self.commits.append(tally)

    def aborted(self, reason: str, _: str) -> None:
        self.aborts.append(reason)

    def measured(self, _: Sequence[FilterMonitor], buffered: int | None) -> None:
        self.at_hand = buffered

    def drained(self, left: int) -> None: ...


class DriftScene:
    """One monitor process after another on the same topics."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, student: Path, **settings: object) -> None:
        self.topics = Topics()
        self.now = LATER
        self.commit_seconds = 0.0
        self.look_for_partitions_seconds = 600.0
        self.is_chosen = True  # whether the process is given a partition of the control topic
        self.partition = 0
        self.observer = Quiet()
        self._monkeypatch = monkeypatch
        environment = {f"NEWSIEVE_{name.upper()}": str(value) for name, value in settings.items()}
        folders = {"NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(student)})}
        self._settings = load_settings(None, environment | folders)
        self._inputs = load_filter_inputs(self._settings)
        self._begin = monitored_filters(self._settings, self._inputs)

    def run(
        self,
        seed: int = 0,
        dies_after: int | None = None,
        piece: int = 40,
        *failing: Exception,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Until all that is there is handled, it is told to stop, or it dies. Raises what the
        monitor raises."""
        death = Death(dies_after)
        self.member = Member(is_chosen=self.is_chosen, partition=self.partition)
        self._monkeypatch.setattr(group_consumer, "make_consumer", lambda _: self.member)
        client = MemoryProducer(self.topics, death)
        client.failing = list(failing)
        producer = TransactionalProducer(lambda _: client, lambda: None)  # type: ignore[arg-type,return-value]
        producer.connect()
        inputs = MemoryInputs(self.topics, random.Random(seed), death, piece)
        consumer = GroupConsumer({}, CONTROL[0], OffsetQuery({}, [], lambda: None), lambda _: None)
        runner = ExactlyOnceRunner(consumer, producer, self.observer)
        monitor = DriftLoop(
            runner,
            inputs,
            MemoryStateStore(self.topics),
            self._begin,
            EventReader([inputs.filter for inputs in self._inputs]),
            outcome_publisher(self._settings, producer, "g"),
            self.observer,
            DriftLoopConfig(
                lambda: self.now,
                "articles",
                self.commit_seconds,
                self.look_for_partitions_seconds,
            ),
        )
        self.monitor, self.inputs = monitor, inputs
        steps_at_end = 0

        def is_over() -> bool:
            nonlocal steps_at_end
            steps_at_end += inputs.is_read or not self.is_chosen
            return steps_at_end > 2 or stop()

        runner.run(monitor, is_over)

    def statuses(self) -> list[MonitorStatus]:
        """As they stand on record."""
        monitored = self._begin()
        resume(monitored, self.topics.states())
        return [
            monitor_status(monitor)
            for monitor in monitored["uplifting"].monitor.monitors.by_identity.values()
        ]

    def on_record(self, written_at: int) -> CurrentState:
        """All of it, written at once."""
        monitored = self._begin()
        taken_up = resume(monitored, self.topics.states())
        return CurrentState(monitored, dict.fromkeys(taken_up, written_at))

    def run_broken(self, seed: int, kills: int, longest: int) -> list[int]:
        """Kill it so many times, at moments drawn at random, then let it finish. Returns how many
        inputs it had committed each time."""
        rng, committed = random.Random(seed), []
        for life in range(kills):
            with contextlib.suppress(Killed):
                self.run(rng.randrange(1_000), rng.randrange(longest), 5 + life % 3 * 5)
            committed.append(sum(self.topics.offsets.values()))
        self.run(rng.randrange(1_000))
        return committed
