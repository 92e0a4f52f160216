"""A bounded storm, with a broker of its own; `make soak` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import ON_CI
from tests.faults.report import Report
from tests.faults.storm import FAULTS
from tests.faults.stormy import storm
from worker.errors import BrokerMissing
from worker.kafka.broker import require_java


def test_workers_outlive_their_broker(tmp_path: Path) -> None:
    """Stalled beyond session and time-outs, restarted under a backlog, killed: no worker ends,
    every partition moves again, and nothing is lost, doubled, out of order or left hanging."""
    try:
        require_java()
    except BrokerMissing as error:
        if ON_CI:
            raise
        pytest.skip(str(error))
    report = Report()
    with storm(tmp_path, 100, "classic", 0, report) as running:
        running.strike("broker stalled 18 s", FAULTS["broker stalled 18 s"], "busy")
        running.strike("broker restarted", FAULTS["broker restarted"], "backlog")
        running.strike("broker kill -9", FAULTS["broker kill -9"], "idle")
        running.finish()

    report.require_exactly_once()
    assert report.ended == []
    assert max(max(seconds) for seconds in report.recovery.values()) < 30
