"""Deliberate defects, one per promise, to see its test fail.

    python -m tests.faults.sabotage             # each in turn: its test must fail
    pytest --sabotage position tests/faults/…   # one of them, in the tests and in worker processes

A defect is a few lines over the worker's own modules; nothing in the product knows of it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

FAULTS = "tests/faults/test_process_faults.py::"
REBALANCES = "tests/kafka/test_rebalances.py::"


@dataclass(frozen=True)
class Defect:
    """What is broken, and the test that says so."""

    apply: Callable[[], None]
    test: str


def commit_what_was_taken() -> None:
    """`position()`, as the official example has it: ahead of the batches in flight."""
    from worker.kafka.offsets import Offsets

    take = Offsets.take

    def taking(self: Offsets, partition: Any, offset: int) -> int | None:
        epoch = take(self, partition, offset)
        if epoch is not None:
            self.produce(partition, offset)
        return epoch

    Offsets.take = taking  # type: ignore[method-assign]


def keep_old_work() -> None:
    """Epochs that mean nothing: what an abort made void is published all the same."""
    from worker.kafka.offsets import Offsets

    Offsets.is_current = lambda self, partition, _: partition in self.owned()  # type: ignore[method-assign]


def commit_the_last_offset() -> None:
    """Without the + 1: the last record of each transaction comes again."""
    from worker.kafka.offsets import Offsets

    to_commit = Offsets.to_commit
    Offsets.to_commit = lambda self: {p: o - 1 for p, o in to_commit(self).items()}  # type: ignore[method-assign]


def commit_when_it_should_abort() -> None:
    """Records without their offsets become visible."""
    from worker.kafka.transaction import Publisher

    abort = Publisher.abort

    def committing(self: Publisher) -> None:
        if self._is_open and self._producer is not None:
            self._producer.commit_transaction(10)
            self._is_open = False
        abort(self)

    Publisher.abort = committing  # type: ignore[method-assign]


def leave_it_open() -> None:
    """What a worker that has to end has produced hangs until its time-out."""
    from worker.kafka.transaction import Publisher

    Publisher.leave = lambda _: None  # type: ignore[method-assign]


def commit_after_a_loss() -> None:
    """A member that the group has given up goes on as if nothing had happened."""
    from worker.pipeline import Worker

    Worker.after_loss = lambda _: None  # type: ignore[method-assign]


def skip_what_is_too_much() -> None:
    """The limit drops the record and stops behind it."""
    from worker.outbox import Outbox

    put = Outbox.put

    def dropping(self: Outbox, row: Any, place: Any) -> Any:
        row.outcomes = [] if self._limits._in_a_row >= self._limits._run else row.outcomes
        return put(self, row, place)

    Outbox.put = dropping  # type: ignore[method-assign]


def search_one_by_one() -> None:
    """A bad row costs as many forwards as the batch has rows."""
    from worker.engine import batching

    def linear(forward: Any, group: list[int], error: Exception) -> Any:
        for row in group[:-1]:
            failure = batching._attempt(forward, [row])
            if failure is not None:
                return row, failure, [other for other in group if other != row], True
        return group[-1], error, [], True

    batching._search = linear


def never_go_back() -> None:
    """After an abort the same records do not come again."""
    from worker.kafka.intake import Intake

    Intake.rewind = lambda _: None  # type: ignore[method-assign]


def drop_what_is_in_flight() -> None:
    """SIGTERM ends at once, whatever is nearly finished."""
    from worker.pipeline import Worker

    Worker._drain = lambda self: self._observer.drained(0)  # type: ignore[method-assign]


def draw_lots() -> None:
    """A sample that no replay can repeat."""
    from worker.rules import sampling

    sampling.uniform = lambda _article, _epoch: random.random()


def one_id_for_all() -> None:
    """A constant transactional id: workers fence each other."""
    from worker.kafka.client import Cluster

    producer = Cluster.producer

    def constant(self: Cluster, ours: Any = None) -> Any:
        config = producer(self, ours)
        return config | ({"transactional.id": "newsieve"} if "transactional.id" in config else {})

    Cluster.producer = constant  # type: ignore[method-assign]


DEFECTS = {
    "position": Defect(
        commit_what_was_taken, REBALANCES + "test_what_is_still_being_scored_is_not_committed"
    ),
    "old-work": Defect(
        keep_old_work,
        REBALANCES + "test_work_of_before_a_partition_left_is_void_when_it_comes_back",
    ),
    "off-by-one": Defect(
        commit_the_last_offset, FAULTS + "test_sigterm_drains_and_a_successor_goes_on"
    ),
    "commit-for-abort": Defect(
        commit_when_it_should_abort,
        REBALANCES + "test_a_limit_reached_inside_a_revoke_leaves_no_half_committed_partition",
    ),
    "left-open": Defect(
        leave_it_open,
        "tests/kafka/test_endings.py::test_a_worker_that_has_to_end_leaves_no_transaction_open",
    ),
    "after-a-loss": Defect(
        commit_after_a_loss, REBALANCES + "test_partitions_that_were_lost_are_not_committed"
    ),
    "limit-drops": Defect(
        skip_what_is_too_much,
        "tests/e2e/test_worker.py::test_a_dead_letter_limit_stops_with_nothing_dropped",
    ),
    "one-by-one": Defect(
        search_one_by_one,
        "tests/engine/test_batching.py::test_one_bad_row_costs_at_most_log2_n_plus_1_forwards_more",
    ),
    "no-rewind": Defect(
        never_go_back,
        REBALANCES + "test_a_failed_commit_rewinds_to_the_first_record_without_an_outcome",
    ),
    "no-drain": Defect(
        drop_what_is_in_flight, REBALANCES + "test_what_is_in_flight_at_the_end_is_finished"
    ),
    "lots": Defect(draw_lots, "tests/rules/test_sampling.py::test_u_is_the_documented_hash"),
    "one-id": Defect(
        one_id_for_all, FAULTS + "test_three_workers_one_killed_in_mid_stream_and_restarted"
    ),
}


def main() -> None:
    """See every test fail."""
    survivors = []
    for name, defect in DEFECTS.items():
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--sabotage", name, defect.test]
        done = subprocess.run(command, capture_output=True, check=False, env=os.environ)
        verdict = {0: "NOT NOTICED", 1: "caught"}.get(done.returncode, "NOT RUN")
        sys.stdout.write(f"{name}: {verdict} by {defect.test}\n")
        sys.stdout.flush()
        if done.returncode != 1:
            survivors.append(name)
    sys.exit(f"not caught: {', '.join(survivors)}" if survivors else 0)


if __name__ == "__main__":
    main()
