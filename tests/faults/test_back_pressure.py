"""A broker that takes little, or nothing for a while: programs wait, whole and quiet."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from newsieve.devbroker.java_broker import JavaBroker
from tests.conftest import java_broker
from tests.faults.test_process_faults import assert_exactly_once, wait_for_outcomes
from tests.support.articles import raw_records
from tests.support.drift import PAIRS
from tests.support.drift_records import MINUTE, START, hash_of, label, student_folder
from tests.support.drift_stream import DriftProcess, DriftStream
from tests.support.stream import Stream
from tests.support.workers import WorkerProcess

BACKLOG = 8_000
SLOW_BYTES_PER_SECOND = 250_000  # of outputs: a worker makes two megabytes a second here
QUEUE_ENCODER = 300  # of the producer: less than a transaction, so that it is full
OBSERVED_SECONDS = 14  # more than two sessions
STALLED_SECONDS = 5
LONG_STALL_SECONDS = 11  # more than a call's patience, a session, and the broker's own session
RECOVERY_SECONDS = 40
QUIET_SHARE = 0.4  # of a core; a loop that spins takes all of it
GROWTH_BYTES = 80 * 2**20
WARM_UP_SECONDS = 5
CLIENT = "newsieve"  # whose outputs are throttled; the test's own clients have other names


def throttle(broker: JavaBroker, bytes_per_second: int | None) -> None:
    """A quota of the broker's own; None takes it away."""
    change = f"--add-config=producer_byte_rate={bytes_per_second}"
    if bytes_per_second is None:
        change = "--delete-config=producer_byte_rate"
    broker.configure("--alter", "--entity-type", "clients", "--entity-name", CLIENT, change)


def assert_quiet(process: psutil.Process, seconds: float) -> None:
    """Little CPU for so long."""
    before = sum(process.cpu_times()[:2])
    time.sleep(seconds)
    assert sum(process.cpu_times()[:2]) - before < QUIET_SHARE * seconds


@pytest.fixture(scope="module")
def own_broker() -> Iterator[JavaBroker]:
    with java_broker({}) as broker:
        yield broker


def test_a_worker_waits_for_a_slow_broker_and_loses_nothing(
    own_broker: JavaBroker, tmp_path: Path, tiny_student: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its producer's queue is full, its backlog large: it takes little CPU and no more memory,
    stays a member of its group, and commits what gets through."""
    # A forked process grows by what it touches of its parent's libraries.
    monkeypatch.setattr(WorkerProcess, "fork_server", None)
    broker = own_broker
    stream = Stream(broker.bootstrap_servers, "slow", tmp_path, {"uplifting": tiny_student})
    try:
        throttle(broker, SLOW_BYTES_PER_SECOND)
        stream.produce(raw_records(BACKLOG, keys=300))
        options = {"queue.buffering.max.messages": QUEUE_ENCODER, "compression.type": "none"}
        worker = stream.start_worker("a", kafka__options=json.dumps(options))
        worker.wait_until("transaction.committed")
        process = psutil.Process(worker.process.pid)
        time.sleep(WARM_UP_SECONDS)  # the first commit comes before the first batches have all run
        memory_before = process.memory_info().rss

        assert_quiet(process, OBSERVED_SECONDS)
        assert len(worker.events("transaction.committed")) > 1
        assert "partitions.lost" not in worker.text()
        assert "partitions.revoked" not in worker.text()
        os.kill(broker.process.pid, signal.SIGSTOP)
        assert_quiet(process, STALLED_SECONDS)
        os.kill(broker.process.pid, signal.SIGCONT)
        assert process.memory_info().rss - memory_before < GROWTH_BYTES

        throttle(broker, None)
        wait_for_outcomes(stream, BACKLOG)
        assert worker.terminate() == 0
        assert_exactly_once(stream)
    finally:
        stream.close()


def test_a_broker_that_stalls_ends_no_drift_monitor(own_broker: JavaBroker, tmp_path: Path) -> None:
    """Neither the one at work, in the middle of a commit, nor one that is about to take over: both
    wait, and all labels are counted once."""
    folder = student_folder(tmp_path / "student")
    stream = DriftStream(own_broker.bootstrap_servers, "stall", tmp_path, {"uplifting": folder})
    labels = [
        label(f"a{n}", PAIRS[n % len(PAIRS)], START + n * MINUTE, hash_of(folder))
        for n in range(200)
    ]
    try:
        stream.give(labels[:100])
        monitor = stream.start_monitor("0")
        monitor.wait_until("transaction.committed")
        second = stream.start_monitor("1", drift__group="second")
        second.wait_until("monitor.assembled")
        os.kill(own_broker.process.pid, signal.SIGSTOP)
        time.sleep(LONG_STALL_SECONDS)
        os.kill(own_broker.process.pid, signal.SIGCONT)
        stream.give(labels[100:])

        for process in (monitor, second):
            deadline = time.monotonic() + RECOVERY_SECONDS
            while sum(int(str(e["records"])) for e in committed(process)) < len(labels):
                assert process.process.poll() is None, process.text()[-2_000:]
                assert time.monotonic() < deadline, process.text()[-2_000:]
                time.sleep(0.1)
            assert process.terminate() == 0
            assert sum(int(str(e["records"])) for e in committed(process)) == len(labels)
    finally:
        stream.close()


def committed(monitor: DriftProcess) -> list[dict[str, object]]:
    return monitor.events("transaction.committed")
