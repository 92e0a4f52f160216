"""A bounded storm, with a broker of its own; `make soak` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests.faults.report import Report
from tests.faults.storm import FAULTS
from tests.faults.stormy import storm

LONGEST_SECONDS = 30


def test_workers_outlive_their_broker(tmp_path: Path) -> None:
    """Stalled beyond session and time-outs, restarted under a backlog, killed: no worker ends,
    every partition moves again, and nothing is lost, doubled, out of order or left hanging."""
    report = Report()
    with storm(tmp_path, 100, "classic", 0, report, LONGEST_SECONDS) as running:
        running.strike("broker stalled 18 s", FAULTS["broker stalled 18 s"], "busy")
        running.strike("broker restarted", FAULTS["broker restarted"], "backlog")
        running.strike("broker kill -9", FAULTS["broker kill -9"], "idle")
        running.finish()
        logs = "".join(worker.text() for worker in running.stream.workers)

    report.require_exactly_once()
    assert report.ended == []
    assert max(max(seconds) for seconds in report.recovery.values()) < LONGEST_SECONDS
    assert "outcome unknown" in logs  # a stall is longer than a commit may take
