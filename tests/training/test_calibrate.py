"""calibrate: curves only where they gain, probabilities that hold."""

from __future__ import annotations

import json

import numpy as np

from newsieve.filters.calibration import Calibration
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores
from newsieve_training.evaluation.calibrate import calibrate, publish
from newsieve_training.evaluation.calibration_fit import fit_curve, refine
from newsieve_training.evaluation.evaluate import Evaluated
from newsieve_training.evaluation.metrics import calibration_error
from newsieve_training.evaluation.results import CalibrationReport
from newsieve_training.pipeline.files import file_hash, read_jsonl
from newsieve_training.pipeline.run_folder import Run


def articles(filter_: Filter, count: int, seed: int, *, skewed: bool) -> Evaluated:
    """Articles of one quality that all dimensions share, a student that is wrong the more the
    better they are, and, skewed, sees the first dimension half as high as it is."""
    chance = np.random.default_rng(seed)
    level = chance.uniform(1, 9, (count, 1))
    oracle = np.clip(level + chance.normal(0, 0.7, (count, 8)), 0, 10).round()
    raw = level + chance.normal(0, 0.15, (count, 1)) * level + chance.normal(0, 0.2, (count, 8))
    if skewed:
        raw[:, 0] *= 0.5
    names = filter_.definition.dimension_names
    rows = [
        {"id": str(at), "scores": dict(zip(names, scores, strict=True))}
        for at, scores in enumerate(oracle.tolist())
    ]
    return Evaluated(rows, [[]] * count, oracle, raw, round_scores(raw))


def test_a_dimension_is_calibrated_only_where_that_gains(sustainability: Filter) -> None:
    """The skewed one is, by a point; those that are right stay as they are, or nearly."""
    found = refine(sustainability, articles(sustainability, 400, 1, skewed=True), seed=1)

    assert found.kept[0] and found.gains[0][0] > 1
    assert sum(found.kept) < 4
    judge = articles(sustainability, 400, 2, skewed=True)
    before, after = (
        np.abs(scores - judge.oracle).mean(axis=0)
        for scores in (judge.student, publish(sustainability, judge, found).scores)
    )
    assert after[0] < before[0] - 1
    assert (after[1:] < before[1:] + 0.03).all()
    assert (after == before).sum() == 8 - sum(found.kept)


def test_a_curve_that_costs_tiers_is_not_kept(sustainability: Filter) -> None:
    """Whatever it gains: here the first dimension's errors are made up for by the others', so that
    averages and tiers are right, and are no more once it is put right alone."""
    chance = np.random.default_rng(5)
    weight = sustainability.definition.dimensions[0].weight
    oracle = chance.uniform(1, 9, (600, 1)) + chance.normal(0, 0.5, (600, 8))
    oracle[:, 0] = 5
    error = chance.normal(0, 2, 600)
    raw = oracle - (weight * error / (1 - weight))[:, None]
    raw[:, 0] = oracle[:, 0] + error
    subject = Evaluated([{}] * 600, [[]] * 600, oracle, raw, round_scores(raw))

    found = refine(sustainability, subject, seed=1)

    assert found.gains[0][0] > 1
    assert not found.kept[0]


def test_with_few_articles_nothing_is_calibrated_by_chance(sustainability: Filter) -> None:
    """Of right dimensions, in many draws."""
    kept = [
        sum(refine(sustainability, articles(sustainability, 40, seed, skewed=False), seed=1).kept)
        for seed in range(10)
    ]

    assert np.mean(kept) < 0.4


def test_the_probability_of_a_tier_holds(sustainability: Filter) -> None:
    """On other articles than it was fitted on: nine in ten of those with 0.9 agree."""
    found = refine(sustainability, articles(sustainability, 500, 1, skewed=True), seed=1)
    judge = articles(sustainability, 6_000, 2, skewed=True)

    published = publish(sustainability, judge, found)

    theirs = sustainability.tiering.decide(judge.oracle, judge.rules).tier
    hits = np.array([a == b for a, b in zip(published.tiers, theirs, strict=True)])
    confidences = np.array(published.confidences)
    error, bins = calibration_error(confidences, hits, 10)
    assert error < 0.03
    assert len(bins) > 4
    assert hits[confidences >= 0.9].mean() > 0.9
    assert hits[confidences < 0.8].mean() < 0.75


def test_too_few_articles_say_nothing_about_tiers(sustainability: Filter) -> None:
    """Then none is published."""
    found = refine(sustainability, articles(sustainability, 50, 1, skewed=False), seed=1)

    assert found.residuals is None
    judge = articles(sustainability, 10, 2, skewed=False)
    assert publish(sustainability, judge, found).confidences is None


def test_a_curve_never_falls_and_goes_through_the_labels() -> None:
    """And survives the rounding of its points."""
    chance = np.random.default_rng(3)
    raw = chance.normal(5, 1e-3, 500)
    oracle = (raw > 5).astype(float) * 4 + 3

    curve = fit_curve(raw, oracle)

    assert all(a < b for a, b in zip(curve.raw, curve.raw[1:], strict=False))
    assert all(a <= b for a, b in zip(curve.calibrated, curve.calibrated[1:], strict=False))
    ends = Calibration(["x"], {"x": curve}).apply(np.array([[0.0], [10.0]]))
    assert ends[:, 0].tolist() == [3.0, 7.0]


def test_the_split_that_judges_does_not_choose(trained: Run) -> None:
    """Other labels there change its figures, not the curves."""
    before = CalibrationReport.read(trained.folder)
    path = trained.path("predictions", "test.jsonl")
    rows = [{**row, "raw": [9.0] * 8} for row in read_jsonl(path)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    state = json.loads(trained.path("run.json").read_bytes())
    record = state["stages"]["evaluate"]
    record["files"]["predictions/test.jsonl"] = record["result"] = file_hash(path)
    trained.update(state)

    assert calibrate(trained)

    after = CalibrationReport.read(trained.folder)
    assert after.calibration == before.calibration
    assert after.dimensions == before.dimensions
    assert after.quality.mae > before.quality.mae + 1
