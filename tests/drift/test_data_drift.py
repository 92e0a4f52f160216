"""The unlabelled stream: effects by their size, in two windows running."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from newsieve.drift.data_drift import (
    FEWEST,
    REFERENCE_MILLISECONDS,
    WINDOW_MILLISECONDS,
    DataDriftDetector,
    DistributionSketch,
    ScoreSample,
)

DIMENSIONS = ("agency", "wonder")
TIERS = ("high", "low")
Draw = Callable[[np.random.Generator], ScoreSample]


def usual(rng: np.random.Generator) -> ScoreSample:
    scores = rng.normal([4, 6], 1.2).clip(0, 10).tolist()
    tier = "high" if sum(scores) > 11 else "low"
    source = f"source {rng.integers(40)}"
    return ScoreSample(0, scores, tier, int(rng.integers(30, 900)), False, "en", source)  # noqa: FBT003


def with_scores(by: float) -> Draw:
    def draw(rng: np.random.Generator) -> ScoreSample:
        article = usual(rng)
        return article._replace(scores=[min(s + by, 10) for s in article.scores or ()])

    return draw


def sometimes(share: float, **facts: object) -> Draw:
    return lambda rng: usual(rng)._replace(**(facts if rng.random() < share else {}))


def hours(
    rng: np.random.Generator, first: int, count: int, draw: Draw, per_hour: int = 1_200
) -> Iterator[ScoreSample]:
    for hour in range(first, first + count):
        for n in range(per_hour):
            at = hour * WINDOW_MILLISECONDS + n * WINDOW_MILLISECONDS // per_hour
            yield draw(rng)._replace(timestamp_ms=at)


@pytest.fixture(scope="module")
def learnt() -> dict[str, object]:
    """A day of the usual."""
    unlabelled = DataDriftDetector(DIMENSIONS, TIERS)
    for article in hours(np.random.default_rng(1), 0, 25, usual):
        unlabelled.add(article)
    return unlabelled.snapshot()


def after(learnt: dict[str, object], count: int, draw: Draw, seed: int = 2) -> DataDriftDetector:
    """So many full windows of this, after the usual day."""
    unlabelled = DataDriftDetector(DIMENSIONS, TIERS)
    unlabelled.resume(json.loads(json.dumps(learnt)))
    rng = np.random.default_rng(seed)
    for article in hours(rng, 25, count + 1, draw):
        unlabelled.add(article)
    return unlabelled


def test_the_usual_is_no_shift(learnt: dict[str, object]) -> None:
    """Hours of a thousand articles differ significantly all the time, by nothing that counts."""
    for seed in range(3):
        unlabelled = after(learnt, 4, usual, seed)
        assert unlabelled.shifts == () and not unlabelled.looks_shifted()


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (with_scores(0.5), "wasserstein:agency"),
        (with_scores(-0.8), "wasserstein:wonder"),
        (sometimes(0.3, tier="high"), "tier:high"),
        (sometimes(0.3, is_truncated=True), "truncated"),
        (sometimes(0.3, scores=None, tier=None), "blocked"),
        (sometimes(0.5, tokens=9), "length"),
        (sometimes(0.3, language="nl"), "language"),
        (sometimes(0.4, source="new"), "source"),
    ],
)
def test_a_large_effect_in_two_windows_running_is_a_shift(
    learnt: dict[str, object], draw: Draw, name: str
) -> None:
    """One window informs nobody, but is a sign to those who look for a cause."""
    once, twice = after(learnt, 1, draw), after(learnt, 2, draw)

    assert name not in [effect.name for effect in once.shifts]
    assert once.looks_shifted()
    found = {effect.name: effect for effect in twice.shifts}
    assert name in found and found[name].size >= found[name].limit
    ratios = [effect.size / effect.limit for effect in twice.shifts]
    assert ratios == sorted(ratios, reverse=True)


def test_a_shift_is_over_when_its_effect_is_small_again(learnt: dict[str, object]) -> None:
    """The window after it says so."""
    unlabelled = after(learnt, 3, with_scores(0.6))
    assert unlabelled.shifts

    for article in hours(np.random.default_rng(3), 29, 3, usual):
        unlabelled.add(article)

    assert unlabelled.shifts == () and not unlabelled.looks_shifted()


def test_a_quiet_hour_goes_on_until_it_has_enough() -> None:
    """No window of fewer than a thousand articles is compared."""
    unlabelled = DataDriftDetector(DIMENSIONS, TIERS)
    rng = np.random.default_rng(4)

    closed = [unlabelled.add(article) for article in hours(rng, 0, 30, usual, per_hour=100)]

    assert sum(closed) == 30 * 100 // FEWEST - 1
    assert closed.index(True) == FEWEST
    assert REFERENCE_MILLISECONDS > 10 * WINDOW_MILLISECONDS


def test_the_distance_is_wassersteins() -> None:
    """A move by half a point is one of half a point, whatever the spread."""
    rng = np.random.default_rng(5)
    a, b = (DistributionSketch(DIMENSIONS, TIERS) for _ in range(2))
    for _ in range(4_000):
        article = usual(rng)._replace(scores=rng.uniform(2, 7, 2).tolist())
        a.add(article)
        b.add(article._replace(scores=[score + 0.5 for score in article.scores or ()]))

    found = {effect.name: effect.size for effect in b.effects(a)}

    assert found["wasserstein:agency"] == pytest.approx(0.5, abs=0.01)
    assert found["wasserstein:wonder"] == pytest.approx(0.5, abs=0.01)


def test_stability_is_net_of_what_chance_makes_of_it() -> None:
    """Two samples of one distribution: nothing on average, small or large."""
    sizes = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, b = (DistributionSketch(DIMENSIONS, TIERS) for _ in range(2))
        for sketch in (a, b):
            for _ in range(300):
                sketch.add(usual(rng))
        sizes += [effect.size for effect in a.effects(b) if effect.name.startswith("psi:")]

    assert np.mean(sizes) < 0.02 and max(sizes) < 0.25


def test_windows_resume_bit_by_bit(learnt: dict[str, object]) -> None:
    """In the middle of an hour, with a shift under way."""
    articles = list(hours(np.random.default_rng(6), 25, 4, with_scores(0.5)))
    unbroken, broken = (DataDriftDetector(DIMENSIONS, TIERS) for _ in range(2))
    for unlabelled in (unbroken, broken):
        unlabelled.resume(learnt)
    for at, article in enumerate(articles):
        if at % 700 == 0:
            facts = json.loads(json.dumps(broken.snapshot()))
            broken = DataDriftDetector(DIMENSIONS, TIERS)
            broken.resume(facts)
        assert unbroken.add(article) == broken.add(article)

    assert unbroken.shifts == broken.shifts != ()
    assert unbroken.snapshot() == broken.snapshot()


def test_what_is_usual_is_not_known_before_a_first_day_is_over(learnt: dict[str, object]) -> None:
    """Shares of tiers then have nothing to be held against, not even zeros."""
    unlabelled = DataDriftDetector(DIMENSIONS, TIERS)
    for article in hours(np.random.default_rng(1), 0, 24, usual, per_hour=FEWEST):
        if unlabelled.add(article):
            assert unlabelled.shares().usual is None
    grown = DataDriftDetector(DIMENSIONS, TIERS)
    grown.resume(learnt)

    usually = grown.shares().usual

    assert usually is not None and sum(usually.values()) == pytest.approx(1)
