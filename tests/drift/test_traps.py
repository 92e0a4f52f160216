"""What has fooled drift monitors before. Each is seeded, and simulated on real pairs."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.e_detector import EDetectorBank
from newsieve.drift.error_streams import Floats
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_registry import MonitorRegistry
from newsieve.drift.monitor_state import Identity, MonitorConfig, Transition
from newsieve.drift.stratum_monitor import StratumMonitor
from tests.support.drift import (
    DIMENSIONS,
    PAIRS,
    STREAMS,
    Row,
    as_it_is,
    clamp,
    draws,
    errors_times,
    history,
    labels,
    tier_of,
)
from tests.support.drift_field import Change as FieldChange
from tests.support.drift_field import grown, healthy, load_field
from tests.support.drift_runs import draw, run_bank

FIELD = load_field()


def monitored(rows: Sequence[Row]) -> tuple[dict[Identity, StratumMonitor], list[Transition]]:
    """All monitors of these rows, and their steps."""
    monitors = MonitorRegistry("uplifting", STREAMS, MonitorConfig(), LabelDeduplicator())
    steps = [monitors.label(label) for label in labels(rows)]
    return monitors.by_identity, [step for step in steps if step is not None]


def alerts(rows: Sequence[Row]) -> list[Transition]:
    return [step for step in monitored(rows)[1] if step.state == "alert"]


def error_of(pair: Row) -> float:
    errors = [abs(clamp(pair["student"][k]) - pair["oracle"][k]) for k in DIMENSIONS]
    return sum(errors) / len(errors)


def oversampled(seed: int, count: int, **facts: str) -> list[Row]:
    """Articles with large errors five times as often, which their π says."""
    rng = random.Random(seed)
    found: list[Row] = []
    while len(found) < count:
        pair = rng.choice(PAIRS)
        pi = 1.0 if error_of(pair) > 1 else 0.2
        if rng.random() < pi:
            found.append({**pair, "pi": pi, "stratum": "x", **facts})
    return found


def test_oversampled_labels_count_by_their_probability() -> None:
    """Without it a healthy student is drifting at once."""
    weighted = oversampled(1, 400, purpose="reference") + oversampled(2, 3_000)
    bare = history(3, reference=400) + [{**row, "pi": 1} for row in oversampled(2, 3_000)]

    assert alerts(weighted) == []
    assert len(alerts(bare)) == 1


def test_a_changed_mix_of_tiers_is_no_drift() -> None:
    """A student that is twice as good on low articles, and a month full of surfaced ones: healthy
    in strata of their own, an alarm in one pot."""
    easy = errors_times(0.5)
    strata = [
        {**pair, "stratum": "surfaced"}
        if tier_of(pair["student"]) != "not_uplifting"
        else {**easy(pair), "stratum": "low"}
        for pair in PAIRS
    ]
    surfaced = [row for row in strata if row["stratum"] == "surfaced"]
    rng = random.Random(4)
    reference = [{**row, "purpose": "reference"} for row in strata * 2]
    month = [rng.choice(strata if rng.random() < 0.1 else surfaced) for _ in range(2_000)]
    rows = [*reference, *month]

    assert alerts(rows) == []
    assert len(alerts([{**row, "stratum": "all"} for row in rows])) == 1


def test_drift_of_surfaced_articles_alone_is_found_in_their_stratum() -> None:
    """One label in ten is of a surfaced article; pooled, it would drown."""
    worse = errors_times(1.6)
    low = history(5, (1_800, as_it_is), stratum="low")
    surfaced = history(6, (200, worse), stratum="surfaced")
    mixed = low[500:]
    for at, row in enumerate(surfaced[500:]):
        mixed.insert(at * 10, row)

    found = alerts([*low[:500], *surfaced[:500], *mixed])

    assert [step.identity.stratum for step in found] == ["surfaced"]
    assert alerts([{**row, "stratum": "all"} for row in [*low[:500], *surfaced[:55], *mixed]]) == []


def rate_of_false_alarms(limits: Floats, seed: int) -> float:
    """Per 10,000 healthy labels, for so many banks side by side, looked at after every label."""
    drawn = draw(FIELD, healthy, len(limits), 1, 3_000, seed)
    lowest = np.broadcast_to(STREAMS.lowest, limits.shape)
    bank = EDetectorBank(limits, lowest, np.full(limits.shape, np.inf))
    alarms = 0
    for at in range(drawn.picks.shape[1]):
        bank.step(drawn.pool[drawn.picks[:, at]], 1.0, at)
        hit = (bank.evidence() * STREAMS.weights).sum(axis=1) >= 10_000
        if hit.any():
            alarms += int(hit.sum())
            bank.reset(hit)
    return alarms / drawn.picks.size * 10_000


def test_a_point_estimate_as_limit_would_cry_wolf() -> None:
    """The upper limit is what keeps false alarms at one in 10,000 labels, under peeking."""
    reference = draw(FIELD, healthy, 60, 500, 1, 7).reference
    means = reference.mean(axis=1)
    limits = means + 1.645 * reference.std(axis=1) / np.sqrt(500)

    assert rate_of_false_alarms(limits, 8) <= 1
    assert rate_of_false_alarms(means, 8) > 2


@pytest.mark.parametrize(
    ("change", "labels_at_most"),
    [(grown(0.5), 53), (grown(0.2), 215), (grown(0.5, "wonder"), 125)],
)
def test_drift_is_found_as_early_as_promised(change: FieldChange, labels_at_most: int) -> None:
    """Within 20 % of the promised median, for forty runs."""
    drawn = draw(FIELD, change, 40, 500, 1_000, 9)

    found = run_bank(FIELD, drawn, until_found=True).first

    assert np.median(np.where(found > 0, found, 10_000)) <= labels_at_most


def test_nothing_makes_a_new_baseline_by_itself() -> None:
    """Neither an alert nor its end: the student stays held against what it was."""
    rows = history(10, (50, as_it_is), (200, errors_times(1.6)), (800, as_it_is))
    kept, steps = monitored(rows)
    (monitor,) = kept.values()
    before, _ = monitored(rows[:501])
    (fresh,) = before.values()

    assert {"alert", "resolved"} <= {step.state for step in steps}
    facts = [item.snapshot()["test"]["baseline"] for item in (monitor, fresh)]
    assert facts[0] == facts[1]


def test_a_promoted_student_has_a_monitor_of_its_own() -> None:
    """With its own baseline, however much worse it is; without one nothing is tested."""
    old = history(11, (300, as_it_is), student_version="1")
    worse = errors_times(2)
    reference = draws(12, 500, worse, purpose="reference", stratum="x", student_version="2")
    labelled = draws(13, 1_000, worse, stratum="x", student_version="2")

    assert alerts([*old, *reference, *labelled]) == []
    assert alerts([*old, *labelled]) == []


def test_late_labels_are_about_the_student_that_they_label() -> None:
    """Labels of the old student that come after a promotion do not count for the new one."""
    old = history(14, student_version="1")
    new = history(15, (200, as_it_is), student_version="2")
    late = draws(16, 200, errors_times(1.8), stratum="x", student_version="1")
    both = [row for pair in zip(new[500:], late, strict=True) for row in pair]

    found = alerts([*old, *new[:500], *both])

    assert [step.identity.student_version for step in found] == ["1"]


@pytest.mark.parametrize("factor", [0.5, 0.2])
def test_an_improvement_is_not_reported(factor: float) -> None:
    """Biases that come nearer to zero while the error falls are evidence of change, and no
    alarm; a drift after it is found."""
    better = errors_times(factor)
    found = []
    for seed in range(6):
        rows = history(20 + seed, (2_500, better), reference=300)
        _, steps = monitored(rows)
        found += [step.state for step in steps]
    later = alerts([*rows, *draws(1, 400, errors_times(1.8), stratum="x")])

    assert {"alert", "warning"}.isdisjoint(found)
    assert len(later) == 1


def test_the_rounding_of_an_oracle_is_no_error() -> None:
    """A perfect student differs from whole numbers by a quarter of a point on average; that is
    its baseline, not a drift."""
    rng = random.Random(17)

    def row(**facts: str) -> Row:
        truth = {name: rng.uniform(0.5, 9.5) for name in DIMENSIONS}
        oracle = {name: round(value) for name, value in truth.items()}
        return {"student": truth, "oracle": oracle, "stratum": "x", **facts}

    rows = [row(purpose="reference") for _ in range(500)] + [row() for _ in range(2_000)]
    _, steps = monitored(rows)

    assert "alert" not in [step.state for step in steps]
    assert steps[0].labels.mean_error is not None
    assert steps[0].labels.mean_error.baseline == pytest.approx(0.25, abs=0.02)


def test_probabilities_come_with_the_labels() -> None:
    """The effective one, after the oracle's cap; nobody remembers what a policy once was."""
    found = labels([{**PAIRS[0], "pi": 0.03}, {**PAIRS[0]}])

    assert [label.pi for label in found] == [0.03, 1.0]
    assert isinstance(found[0], Label)
