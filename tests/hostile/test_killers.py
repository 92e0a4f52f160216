"""A record that ends every process that scores it, in a storm: given up, and alone in that."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from newsieve.devbroker.broker import Broker
from newsieve.kafka.config import Cluster
from newsieve.kafka.offset_query import OffsetQuery
from newsieve.stream.crash_note import parse
from tests.faults.breakable import HANGS, STEP_SECONDS
from tests.faults.report import Report
from tests.faults.storm import (
    Scene,
    kill_a_worker,
    pause_a_worker,
    poison,
    put_killer,
    wait_until_given_up,
)
from tests.faults.stormy import storm
from tests.hostile.metered import usage_of
from tests.support.stream import Stream

PER_SECOND = 100
PAUSE_SECONDS = 3.0
MOST_BYTES = 1_500_000_000  # torch takes most of it
CPU_SECONDS = 120  # of each worker that is at work in the end


def killer_among_other_faults(scene: Scene) -> float:
    """While workers die of it, others are killed, stand still and are given poison."""
    place = put_killer(scene)
    kill_a_worker(scene)
    poison(scene)
    pause_a_worker(PAUSE_SECONDS)(scene)
    return wait_until_given_up(scene, place)


@pytest.mark.parametrize("protocol", ["classic"])
def test_a_record_that_kills_whoever_scores_it_is_given_up_in_a_storm(
    tmp_path: Path, protocol: str
) -> None:
    """One dead letter, KilledWorker; no other record is blamed, lost, doubled or out of order."""
    report = Report()
    with storm(tmp_path, PER_SECOND, protocol, 0, report) as running:
        running.strike("killing record", killer_among_other_faults, "busy")
        used = [usage_of(worker.process.pid) for worker in running.scene.fleet.workers.values()]
        running.finish()
        reader = running.stream.reader()
        try:
            letters = reader.read_to_end().letters
        finally:
            reader.close()
        deaths = sum(bool(worker.events("crash.inherited")) for worker in running.stream.workers)

    report.require_exactly_once()
    assert Counter(letter["dlq.error"] for letter in letters)["KilledWorker"] == 1
    assert deaths > 0
    assert report.ended == []
    assert all(item.peak_bytes < MOST_BYTES and item.cpu_seconds < CPU_SECONDS for item in used)


def test_a_record_on_which_the_model_hangs_ends_its_worker_which_has_taken_note(
    broker: Broker, prefix: str, tmp_path: Path, tiny_student: Path
) -> None:
    """The loop beats on meanwhile, and nobody would notice."""
    stream = Stream(broker.bootstrap_servers, prefix, tmp_path, {"uplifting": tiny_student})
    device = tmp_path / "device"
    worker = stream.start_worker("a", device=device)
    worker.wait_until("partitions.assigned")
    device.write_text(HANGS)
    stream.produce([(b"k", b'{"id":"a","title":"A library opens"}')])

    assert worker.wait(60) == 3
    assert f"the scorer has been at one step for {STEP_SECONDS} s" in worker.text()
    offset_query = OffsetQuery(
        Cluster(broker.bootstrap_servers, {}).consumer(prefix), [], lambda: None
    )
    partitions = [(stream.raw_topic, number) for number in stream.raw_ends()]
    left = [parse(text) for _, text in offset_query.committed_with_metadata(partitions).values()]
    assert [note.in_flight > 0 for note in left] == [True]
    stream.close()
