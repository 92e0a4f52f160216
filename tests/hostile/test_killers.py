"""A record that ends every process that scores it, in a storm: given up, and alone in that."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

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

PER_SECOND = 100
PAUSE_SECONDS = 3.0


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
