"""A filter monitor with anchors, and an oracle that labels them."""

from __future__ import annotations

import random

import numpy as np

from newsieve.drift.alerts import AlertSubject
from newsieve.drift.anchors import AnchorSet
from newsieve.drift.condition_alert import CanaryResult
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.label_reader import AnchorLabel
from newsieve.drift.monitor_state import MonitorConfig, Transition
from tests.support.drift import DIMENSIONS, UPLIFTING, errors_times, history, labels, more

HASH = "sha256:" + "0" * 64
SUBJECT = AlertSubject("4", HASH, HASH, HASH)
WORSE = errors_times(1.6)


def anchors(key: str = "a") -> AnchorSet:
    """Sixty articles, labelled three times by an oracle that differs from itself a little."""
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 10, (60, 1, len(DIMENSIONS)))
    noise = rng.integers(-1, 2, (60, 3, len(DIMENSIONS)))
    names = tuple(f"anchor-{n}" for n in range(60))
    return AnchorSet(key, names, np.clip(truth + noise, 0, 10).astype(float))


ANCHORS = anchors()


def answer(
    filter_monitor: FilterMonitor, at: int, moved: float = 0.0, key: str = "a"
) -> list[Transition]:
    """All anchors that are wanted, labelled as the oracle does, or moved."""
    found = []
    rng = random.Random(at)
    wanted, filter_monitor.attribution.wanted = filter_monitor.attribution.wanted, []
    for name in wanted:
        replicate = ANCHORS.replicates[int(name.partition("-")[2]), rng.randrange(3)]
        scores = np.clip(replicate + moved, 0, 10).tolist()
        found += filter_monitor.anchor(AnchorLabel(at, name, key, scores))
    return found


def a_filter_monitor(
    *, with_anchors: bool = True, config: MonitorConfig | None = None
) -> FilterMonitor:
    """After a reference of 400 rows by oracle a."""
    filter_monitor = FilterMonitor(
        UPLIFTING, config or MonitorConfig(), ANCHORS if with_anchors else None
    )
    for row in labels(history(1, reference=400, oracle_key="a")):
        filter_monitor.label(row)
    return filter_monitor


def alarmed(filter_monitor: FilterMonitor, seed: int = 1) -> list[Transition]:
    """Labels of a student that errs more, until its monitor alarms."""
    found = []
    for label in more(seed, 400, WORSE, stratum="x", oracle_key="a"):
        found += filter_monitor.label(label)
        waits = any(
            item.state.awaits_cause for item in filter_monitor.monitors.by_identity.values()
        )
        if waits or (found and found[-1].state == "alert"):
            return found
    raise AssertionError("no alarm")


def canary(at: int, *, passed: bool) -> CanaryResult:
    return CanaryResult(at, "s", passed, 0.01 if passed else 0.7, 0.02)
