"""Deliberate defects: a few lines each over the worker's own modules, which know nothing of them.

`sabotage` says which promise each breaks, and which test has to notice.
"""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any


def commit_what_was_taken() -> None:
    """`position()`, as the official example has it: ahead of the batches in flight."""
    from newsieve.kafka.offsets import Offsets

    take = Offsets.take

    def taking(self: Offsets, partition: Any, offset: int) -> int | None:
        epoch = take(self, partition, offset)
        if epoch is not None:
            self.produce(partition, offset)
        return epoch

    Offsets.take = taking  # type: ignore[method-assign]


def keep_old_work() -> None:
    """Epochs that mean nothing: what an abort made void is published all the same."""
    from newsieve.kafka.offsets import Offsets

    Offsets.is_current = lambda self, partition, _: partition in self.owned()  # type: ignore[method-assign]


def commit_the_last_offset() -> None:
    """Without the + 1: the last record of each transaction comes again."""
    from newsieve.kafka.offsets import Offsets

    to_commit = Offsets.to_commit
    Offsets.to_commit = lambda self: {p: o - 1 for p, o in to_commit(self).items()}  # type: ignore[method-assign]


def commit_when_it_should_abort() -> None:
    """Records without their offsets become visible."""
    from newsieve.kafka.transactional_producer import TransactionalProducer

    abort = TransactionalProducer.abort

    def committing(self: TransactionalProducer) -> None:
        if self._is_open and self._producer is not None:
            self._producer.commit_transaction(10)
            self._is_open = False
        abort(self)

    TransactionalProducer.abort = committing  # type: ignore[method-assign]


def leave_it_open() -> None:
    """What a worker that has to end has produced hangs until its time-out."""
    from newsieve.kafka.transactional_producer import TransactionalProducer

    TransactionalProducer.leave = lambda _: None  # type: ignore[method-assign]


def commit_after_a_loss() -> None:
    """A member that the group has given up goes on as if nothing had happened."""
    from newsieve.stream.exactly_once import ExactlyOnceRunner

    ExactlyOnceRunner.after_loss = lambda _: None  # type: ignore[method-assign]


def skip_what_is_too_much() -> None:
    """The limit drops the record and stops behind it."""
    from newsieve.stream.outcome_publisher import OutcomePublisher

    publish = OutcomePublisher.publish

    def dropping(self: OutcomePublisher, record: Any, position: Any, outcomes: Any) -> Any:
        limits = self._limits
        is_too_much = limits._in_a_row >= limits._max_consecutive
        return publish(self, record, position, [] if is_too_much else outcomes)

    OutcomePublisher.publish = dropping  # type: ignore[method-assign]


def search_one_by_one() -> None:
    """A bad row costs as many forwards as the batch has rows."""
    from newsieve.inference import batching

    def linear(forward: Any, group: list[int], error: Exception) -> Any:
        for row in group[:-1]:
            failure = batching._attempt(forward, [row])
            if failure is not None:
                return row, failure, [other for other in group if other != row], True
        return group[-1], error, [], True

    batching._search = linear


def never_go_back() -> None:
    """After an abort the same records do not come again."""
    from newsieve.kafka.group_consumer import GroupConsumer

    GroupConsumer.rewind = lambda _: None  # type: ignore[method-assign]


def drop_what_is_in_flight() -> None:
    """SIGTERM ends at once, whatever is nearly finished."""
    from newsieve.programs.scoring.loop import ScoringLoop

    ScoringLoop.drain = lambda self, _: self._observer.drained(0)  # type: ignore[method-assign]


def draw_lots() -> None:
    """A sample that no replay can repeat."""
    from newsieve.filters.sampling import EpochDraw

    EpochDraw.u = lambda *_: random.random()  # type: ignore[method-assign]


def one_id_for_all() -> None:
    """A constant transactional id: workers fence each other."""
    from newsieve.kafka.config import Cluster

    producer = Cluster.producer

    def constant(self: Cluster, ours: Any = None) -> Any:
        config = producer(self, ours)
        return config | ({"transactional.id": "newsieve"} if "transactional.id" in config else {})

    Cluster.producer = constant  # type: ignore[method-assign]


def commit_before_producing() -> None:
    """The offset goes ahead of the outcome it stands for."""
    from newsieve.programs.scoring.loop import ScoringLoop

    publish = ScoringLoop._publish

    def early(self: ScoringLoop, item: Any, row: Any) -> None:
        self._offsets.produce(item.partition, item.offset)
        self.commit()
        publish(self, item, row)

    ScoringLoop._publish = early  # type: ignore[method-assign]


def try_again_blindly() -> None:
    """A commit of unknown outcome, once more with the same producer."""
    from newsieve.kafka.transactional_producer import TransactionalProducer

    commit = TransactionalProducer.commit_records

    def stubborn(self: TransactionalProducer) -> None:
        for _ in range(3):
            if self._call(self._open().commit_transaction) is None:
                self._is_open = False
                return
        commit(self)

    TransactionalProducer.commit_records = stubborn  # type: ignore[method-assign]


def commit_unfenced() -> None:
    """Kafka takes the offsets of somebody who says they are nobody's."""
    from confluent_kafka import Consumer

    from newsieve.kafka.group_consumer import GroupConsumer

    def anonymous(self: GroupConsumer) -> Any:
        names = ("bootstrap.servers", "group.id")
        stranger = Consumer({name: self._config[name] for name in names})
        return stranger.consumer_group_metadata()

    GroupConsumer.group_metadata = anonymous  # type: ignore[method-assign]


def read_what_is_aborted() -> None:
    """Not the worker: a reader that takes what may be taken back, which the test has to notice."""
    from tests.faults import watcher

    consumer = watcher.Consumer

    def dirty(config: dict[str, Any], **more: Any) -> Any:
        is_second = getattr(dirty, "is_second", False)
        dirty.is_second = True  # type: ignore[attr-defined]
        level = "read_committed" if is_second else "read_uncommitted"
        return consumer(config | {"isolation.level": level}, **more)

    watcher.Consumer = dirty  # type: ignore[assignment, misc]


def keep_the_producer() -> None:
    """After an unknown outcome it is not replaced: no transaction of it ends any more."""
    from newsieve.errors import OutcomeUnknown
    from newsieve.kafka.transactional_producer import TransactionalProducer

    def keeping(self: TransactionalProducer, reason: str, *, passes: bool = True) -> None:
        self._is_open = False  # as where it was replaced, or what is open would be aborted
        raise OutcomeUnknown(reason, passes=passes)

    TransactionalProducer._replace = keeping  # type: ignore[method-assign, assignment]


def hoard() -> None:
    """What was taken is kept."""
    from newsieve.kafka.group_consumer import GroupConsumer

    take, kept = GroupConsumer.poll, []

    def hoarding(self: GroupConsumer, count: int, seconds: float) -> Any:
        kept.append(take(self, count, seconds))
        return kept[-1]

    GroupConsumer.poll = hoarding  # type: ignore[method-assign]


def ignore_the_second_signal() -> None:
    """Whoever is in a hurry has to find kill -9."""
    import newsieve.cli.lifecycle

    newsieve.cli.lifecycle.os = SimpleNamespace(_exit=lambda _: None)  # type: ignore[assignment]


def reload_under_way() -> None:
    """Records name the student that is in the folder now, whoever scored them."""
    import newsieve.cli.worker
    from newsieve.bootstrap.students import student_folder
    from newsieve.inference.manifest import read_manifest, student_hash

    scoring_path = newsieve.cli.worker.scoring_path

    def reloading(settings: Any, identities: Any, scorer: Any) -> Any:
        path = scoring_path(settings, identities, scorer)
        start = path.start

        def fresh(records: Any) -> Any:
            now = []
            for item in identities:
                folder = student_folder(settings, item.filter)
                found = student_hash(folder, read_manifest(folder).base)
                now.append(replace(item, hash=found))
            path._encoders = scoring_path(settings, now, scorer)._encoders
            return start(records)

        path.start = fresh  # type: ignore[method-assign]
        return path

    newsieve.cli.worker.scoring_path = reloading


def forget_the_dead() -> None:
    """A worker knows nothing of what was in flight when its predecessors died."""
    from newsieve.stream import crash_recovery
    from newsieve.stream.crash_note import NOTHING

    crash_recovery.parse = lambda text: NOTHING  # noqa: ARG005 - its name is in the type


def crash() -> None:
    """Nobody's error: what the person on call sees is a traceback."""
    from newsieve.programs.scoring.loop import ScoringLoop

    def crashing(_: ScoringLoop) -> None:
        raise ZeroDivisionError("on purpose")

    ScoringLoop.step = crashing  # type: ignore[method-assign]
