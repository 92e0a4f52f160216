"""Deliberate defects, one per promise, to see its test fail.

    python -m tests.faults.sabotage [NAME …]    # each in turn: its test must fail
    pytest --sabotage position tests/faults/…   # one of them, in the tests and in worker processes

The defects themselves stand in `defects`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import defects

FAULTS = "tests/faults/test_process_faults.py::"
REBALANCES = "tests/stream/test_rebalances.py::"
UNKNOWN = (
    "tests/faults/test_broker_errors.py::test_a_commit_of_unknown_outcome_is_never_tried_again"
)
CAUGHT = "caught"
TIMED_OUT = b"Failed: Timeout"  # as pytest-timeout says it
STORM = "tests/faults/test_storm.py::test_workers_outlive_their_broker"


@dataclass(frozen=True)
class Defect:
    """What is broken, and the test that says so."""

    apply: Callable[[], None]
    test: str


DEFECTS = {
    "position": Defect(
        defects.commit_what_was_taken,
        REBALANCES + "test_what_is_still_being_scored_is_not_committed",
    ),
    "old-work": Defect(
        defects.keep_old_work,
        REBALANCES + "test_work_of_before_a_partition_left_is_void_when_it_comes_back",
    ),
    "off-by-one": Defect(
        defects.commit_the_last_offset, FAULTS + "test_sigterm_drains_and_a_successor_goes_on"
    ),
    "commit-for-abort": Defect(
        defects.commit_when_it_should_abort,
        REBALANCES + "test_a_limit_reached_inside_a_revoke_leaves_no_half_committed_partition",
    ),
    "left-open": Defect(
        defects.leave_it_open,
        "tests/stream/test_exactly_once.py::test_a_worker_that_has_to_end_leaves_no_transaction_open",
    ),
    "after-a-loss": Defect(
        defects.commit_after_a_loss, REBALANCES + "test_partitions_that_were_lost_are_not_committed"
    ),
    "limit-drops": Defect(
        defects.skip_what_is_too_much,
        "tests/e2e/test_worker.py::test_a_dead_letter_limit_stops_with_nothing_dropped",
    ),
    "one-by-one": Defect(
        defects.search_one_by_one,
        "tests/inference/test_batching.py::test_one_bad_row_costs_at_most_log2_n_plus_2_forwards_more",
    ),
    "no-rewind": Defect(
        defects.never_go_back,
        REBALANCES + "test_a_failed_commit_rewinds_to_the_first_record_without_an_outcome",
    ),
    "no-drain": Defect(
        defects.drop_what_is_in_flight, REBALANCES + "test_what_is_in_flight_at_the_end_is_finished"
    ),
    "crash": Defect(defects.crash, ""),  # of use to tests/e2e/test_security.py
    "lots": Defect(
        defects.draw_lots, "tests/filters/test_sampling.py::test_u_is_the_documented_hash"
    ),
    "commit-first": Defect(
        defects.commit_before_producing,
        REBALANCES + "test_a_worker_that_ends_commits_nothing_of_an_aborted_transaction",
    ),
    "blind-retry": Defect(defects.try_again_blindly, UNKNOWN),
    "unfenced": Defect(
        defects.commit_unfenced,
        "tests/kafka/test_group_consumer.py::test_offsets_of_a_former_member_are_refused",
    ),
    "dirty-reader": Defect(defects.read_what_is_aborted, STORM),
    "same-producer": Defect(defects.keep_the_producer, UNKNOWN),
    "hoard": Defect(defects.hoard, "tests/faults/test_memory.py"),
    "deaf": Defect(defects.ignore_the_second_signal, FAULTS + "test_a_second_signal_exits_at_once"),
    "hot-swap": Defect(
        defects.reload_under_way, FAULTS + "test_a_new_student_is_never_mixed_with_the_old"
    ),
    "no-notes": Defect(
        defects.forget_the_dead,
        "tests/stream/test_crash_recovery.py::test_a_record_that_kills_is_given_up_and_the_rest_is_scored",
    ),
    "one-id": Defect(
        defects.one_id_for_all, FAULTS + "test_three_workers_one_killed_in_mid_stream_and_restarted"
    ),
}


def verdict_of(exit_code: int, output: bytes) -> str:
    """Return what a test made of a defect; one that only ran out of time has not noticed it."""
    if TIMED_OUT in output:
        return "TIMED OUT"
    return {0: "NOT NOTICED", 1: CAUGHT}.get(exit_code, "NOT RUN")


def main() -> None:
    """See every test fail, or those of the defects that are named."""
    survivors = []
    for name in sys.argv[1:] or [name for name, item in DEFECTS.items() if item.test]:
        defect = DEFECTS[name]
        command = [sys.executable, "-m", "pytest", "-q", "-x", "--sabotage", name, defect.test]
        done = subprocess.run(command, capture_output=True, check=False, env=os.environ)
        verdict = verdict_of(done.returncode, done.stdout)
        sys.stdout.write(f"{name}: {verdict} by {defect.test}\n")
        sys.stdout.flush()
        if verdict != CAUGHT:
            survivors.append(name)
    sys.exit(f"not caught: {', '.join(survivors)}" if survivors else 0)


if __name__ == "__main__":
    main()
