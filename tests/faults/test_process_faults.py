"""Real worker processes, killed, stopped and fenced for real, on a real broker."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from pathlib import Path

from newsieve.filters.registry import Filter
from tests.support.articles import raw_records
from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.tiny_student import make_student
from tests.support.workers import WorkerProcess

RECORDS = 6_000


def assert_exactly_once(stream: Stream) -> None:
    """Nothing lost, doubled or out of order per key; nothing hanging; offsets at the end."""
    reader = stream.reader()
    try:
        outputs = reader.read_to_end()
    finally:
        reader.close()
    outcomes = outputs.outcomes()
    handled = {(partition, offset) for partition, offset, _ in outcomes}
    assert handled == stream.raw, f"lost {len(stream.raw - handled)}"
    assert set(outcomes.values()) == {1}, "doubled"
    for positions in outputs.offsets_by_key().values():
        assert positions == sorted(positions), "out of order"
    assert stream.committed() == stream.raw_ends()
    assert hanging_transactions(stream.servers, stream.prefix) == []


def wait_for_outcomes(stream: Stream, count: int, seconds: float = 150) -> None:
    reader = stream.reader()
    try:
        reader.read_until(lambda o: len(o.scored) + len(o.letters) >= count, seconds)
    finally:
        reader.close()


def stop(workers: list[WorkerProcess]) -> list[int]:
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
    return [worker.wait(60) for worker in workers]


def test_three_workers_one_killed_in_mid_stream_and_restarted(stream: Stream) -> None:
    """kill -9 while transactions are open: nothing lost, doubled or out of order per key."""
    workers = [stream.start_worker(slot) for slot in "abc"]
    for worker in workers:
        worker.wait_until("partitions.assigned")
    feed = threading.Thread(target=stream.produce, args=(raw_records(RECORDS, keys=300),))
    feed.start()
    wait_for_outcomes(stream, RECORDS // 6)

    workers[1].kill()
    time.sleep(1)
    workers[1] = stream.start_worker("b")

    feed.join()
    wait_for_outcomes(stream, RECORDS)
    workers[1].wait_until("worker.assembled")  # before that, SIGTERM ends it like any process
    assert stop(workers) == [0, 0, 0]
    assert_exactly_once(stream)


def test_sigterm_drains_and_a_successor_goes_on(stream: Stream) -> None:
    """What was in flight is finished, the rest waits; the exit code is 0."""
    stream.produce(raw_records(2_000, keys=100))
    first = stream.start_worker("a")
    first.wait_until("transaction.committed")

    assert first.terminate() == 0
    drained = first.events("worker.drained")[0]
    assert sum(stream.committed().values()) == drained["records_committed"]
    second = stream.start_worker("a")
    wait_for_outcomes(stream, 2_000)
    assert second.terminate() == 0
    assert_exactly_once(stream)


def test_a_second_signal_exits_at_once(stream: Stream) -> None:
    """130, whatever is in flight."""
    stream.produce(raw_records(3_000))
    worker = stream.start_worker("a", worker__batch_articles=2_000, worker__commit_seconds=10)
    worker.wait_until("partitions.assigned")
    worker.process.send_signal(signal.SIGSTOP)  # so that both signals are waiting at once
    worker.process.send_signal(signal.SIGTERM)
    worker.process.send_signal(signal.SIGINT)
    worker.process.send_signal(signal.SIGCONT)

    assert worker.wait(20) == 130


def test_a_second_worker_in_the_same_slot_fences_the_first(stream: Stream) -> None:
    """The first ends with 3; what it had in flight comes again, once."""
    stream.produce(raw_records(500))
    first = stream.start_worker("a")
    first.wait_until("transaction.committed")
    second = stream.start_worker("a")
    second.wait_until("partitions.assigned")
    stream.produce(raw_records(1_500, seed=1))

    assert first.wait(90) == 3
    assert "slot" in first.text() and "Traceback" not in first.text()
    wait_for_outcomes(stream, 2_000)
    assert second.terminate() == 0
    assert_exactly_once(stream)


def test_a_worker_that_was_away_longer_than_its_session_commits_nothing_late(
    stream: Stream,
) -> None:
    """SIGSTOP beyond the session: another takes over, and the sleeper's work is void."""
    stream.produce(raw_records(RECORDS, keys=300))
    sleeper = stream.start_worker("a")
    sleeper.wait_until("transaction.committed")
    sleeper.process.send_signal(signal.SIGSTOP)
    other = stream.start_worker("b")
    wait_for_outcomes(stream, RECORDS)

    sleeper.process.send_signal(signal.SIGCONT)
    stream.produce(raw_records(1_000, seed=9, keys=300))
    wait_for_outcomes(stream, RECORDS + 1_000)

    codes = stop([worker for worker in (sleeper, other) if worker.process.poll() is None])
    assert set(codes) == {0}
    assert sleeper.process.poll() in (0, 3)
    assert_exactly_once(stream)


def test_a_new_student_is_never_mixed_with_the_old(
    stream: Stream, tmp_path: Path, uplifting: Filter
) -> None:
    """A folder that changes under a running worker changes nothing; a restart takes the new one,
    and no record lies about who scored it."""
    running = stream.students["uplifting"]
    stream.students["uplifting"] = folder = tmp_path / "student"
    shutil.copytree(running, folder)
    base = Path(json.loads((folder / "student.json").read_text())["base"]["name"])
    stream.produce(raw_records(200))
    worker = stream.start_worker("a")
    wait_for_outcomes(stream, 200)
    shutil.rmtree(folder)
    shutil.copytree(make_student(tmp_path / "new", uplifting, seed=7, base=base), folder)
    stream.produce(raw_records(200, seed=1))
    wait_for_outcomes(stream, 400)
    assert worker.terminate() == 0
    old_ends = stream.committed()

    successor = stream.start_worker("a")
    stream.produce(raw_records(200, seed=2))
    wait_for_outcomes(stream, 600)
    assert successor.terminate() == 0

    reader = stream.reader()
    scored = reader.read_to_end().scored
    reader.close()
    old, new = (w.events("student.loaded")[0]["student"] for w in (worker, successor))
    assert old != new
    for record in scored:
        place = record["input"]
        is_old = place["offset"] < old_ends.get(place["partition"], 0)
        assert record["student"] == (old if is_old else new)
    assert_exactly_once(stream)
