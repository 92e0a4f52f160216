"""Incidents from beginning to end: is the cause named right, and what does a label cost?

The runs are those of `tests.support.drift_incidents`; this file counts and measures.
"""

from __future__ import annotations

import json
import time
from collections import Counter

import numpy as np

from newsieve.drift.label_reader import MONITOR
from tests.support.drift_field import Field
from tests.support.drift_incidents import HEALTHY_HOURS, HOUR, Stage, World, worlds

RUNS = 50  # of each incident
COST_LABELS = 20_000


def table(field: Field, seed: int, runs: int = RUNS) -> list[str]:
    """How often each cause is named right, and what else is said."""
    lines = [
        "| incident | named right | hours until the alert, median | else |",
        "|---|---|---|---|",
    ]
    for cause, world in worlds(field).items():
        alerts = [Stage(field, seed + run).run(world) for run in range(runs)]
        hours = [alert.position / HOUR - HEALTHY_HOURS for alert in alerts if alert is not None]
        named = Counter(alert.cause if alert is not None else "no alert" for alert in alerts)
        right = named.pop(cause, 0) / runs
        others = ", ".join(f"{name} {count}" for name, count in named.most_common()) or "–"
        lines.append(f"| {cause} | {right:.0%} | {np.median(hours):.1f} | {others} |")
    return lines


def costs(field: Field, seed: int) -> list[str]:
    """What a label costs, and how large a filter's state is."""
    stage = Stage(field, seed)
    picks = np.random.default_rng(seed).integers(0, len(field.oracle), COST_LABELS)
    labels = [
        label._replace(position=at, id=f"{seed:08x}-4a1b-4c2d-8e3f-{at:012x}")
        for at, label in enumerate(stage.labels(picks, World(), MONITOR, 0))
    ]
    started = time.perf_counter()
    for label in labels:
        stage.monitor.label(label)
    spent = (time.perf_counter() - started) / len(labels) * 1e6
    stage.monitor.attribution.wanted.clear()
    for hour in range(3):
        stage.hour(hour * HOUR, World())
    sizes = {
        saved.identity.stratum: len(json.dumps(saved.detector))
        for saved in stage.monitor.take_changes()
    }
    each = ", ".join(f"{name} {size / 1e3:.1f}" for name, size in sizes.items())
    return [
        f"A label costs {spent:.0f} µs (tested, remembered, counted for anchors; {COST_LABELS:,} "
        f"labels). A filter's state is {sum(sizes.values()) / 1e3:.1f} kB of JSON ({each}).",
    ]
