"""evaluate: figures that are right, beside baselines, and that a filter's edit changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from newsieve.filters.registry import Filter
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.evaluation.metrics import calibration_error, paired_difference, quality
from newsieve_training.evaluation.results import Metrics
from newsieve_training.fit.stage import fit
from newsieve_training.pipeline.files import read_jsonl
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.filters import BUILTIN
from tests.support.fits import ONE_THREAD

Make = Callable[..., Recipe]


def test_a_student_learns_and_baselines_stand_beside_it(made: Run) -> None:
    """Better than the mean; with the texts shuffled against the labels it is worse than that: a
    student that did not read would not notice."""
    quality = Metrics.read(made.folder).quality["test"]

    assert set(quality) == {"student", "mean", "tf_idf", "frozen_base"}
    student, mean = quality["student"], quality["mean"]
    assert student.mae < 0.6 * mean.mae
    assert student.spearman > 0.8 and mean.spearman is None
    assert student.shuffled_mae > mean.mae
    for scorer in quality.values():
        low, high = scorer.mae_interval
        assert low <= scorer.mae <= high


def test_slices_and_worst_cases_are_of_the_articles_that_judge(made: Run) -> None:
    """Every article is in one slice of each kind; the worst come first, with their links."""
    metrics, rows = Metrics.read(made.folder), made.rows("test")

    for slices in metrics.slices.values():
        assert sum(item.articles for item in slices.values()) == len(rows)
    assert set(metrics.slices) == {"language", "length", "source", "outcome"}
    errors = [item.mae for item in metrics.worst]
    assert errors == sorted(errors, reverse=True)
    known = {row["id"]: row["url"] for row in rows}
    assert all(known[item.id] == item.url for item in metrics.worst)


def test_a_changed_filter_has_the_student_judged_again(
    trained: Run, edit_filter: Callable[[str, str], None]
) -> None:
    """By its new thresholds and rules; nothing is trained."""
    before = Metrics.read(trained.folder).quality["test"]["student"]
    edit_filter('when = "score >= 4"', 'when = "score >= 6"')
    edit_filter(r"'\b(share|stock) prices?\b'", "'army'")

    assert not fit(trained)
    assert evaluate(trained)
    assert not evaluate(trained)

    after = Metrics.read(trained.folder).quality["test"]["student"]
    assert after.mae == before.mae
    assert after.tier_majority != before.tier_majority
    texts = {row["id"]: row["text"] for row in trained.rows("test")}
    for row in read_jsonl(trained.path("predictions", "test.jsonl")):
        assert ("corporate_finance" in row["content_rules"]) == ("army" in texts[row["id"]])


def test_cross_validation_judges_every_row_by_a_student_that_never_saw_it(
    recipe: Make, labels: Path, tmp_path: Path
) -> None:
    """One student a fold, and one on all rows to ship; predictions in the data's order."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=3)
    run, _ = prepare(made, [read_source(labels)], tmp_path / "runs", BUILTIN)
    fit(run, ONE_THREAD)
    evaluate(run)

    found = list(read_jsonl(run.path("predictions", "cross_validation.jsonl")))
    assert [row["id"] for row in found] == [row["id"] for row in run.rows("train")]
    names = {path.name for path in run.path("checkpoints").iterdir()}
    assert names == {"fold-0", "fold-1", "final"}
    metrics = Metrics.read(run.folder)
    assert metrics.judged_on == "cross_validation"
    mean = metrics.quality["cross_validation"]["mean"]
    assert mean.articles == 120
    assert mean.spearman is None  # other folds' means would rank articles by their own labels


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    """300 students' and oracles' scores that have something to do with each other."""
    chance = np.random.default_rng(1)
    oracle = chance.integers(0, 11, (300, 8)).astype(float)
    return np.clip(oracle + chance.normal(0.3, 2, oracle.shape), 0, 10).round(4), oracle


def test_figures_are_those_of_other_libraries(
    scores: tuple[np.ndarray, np.ndarray], uplifting: Filter
) -> None:
    """Spearman's ρ by scipy, Cohen's κ by scikit-learn, recall and precision by hand."""
    student, oracle = scores

    found = quality(uplifting, student, oracle, [[]] * 300, seed=1)

    rho = np.mean([spearmanr(student[:, at], oracle[:, at]).statistic for at in range(8)])
    assert found.spearman == pytest.approx(rho, abs=1e-4)
    assert found.mae == pytest.approx(np.abs(student - oracle).mean(), abs=1e-4)
    ours, theirs = (uplifting.tiering.decide(s, [[]] * 300).tier for s in scores)
    assert found.tier_kappa == pytest.approx(cohen_kappa_score(ours, theirs), abs=1e-4)
    published = [[tier != "not_uplifting" for tier in tiers] for tiers in (ours, theirs)]
    assert found.surfaced_kappa == pytest.approx(cohen_kappa_score(*published), abs=1e-4)
    both = sum(a == b == "connection" for a, b in zip(ours, theirs, strict=True))
    connection = found.tiers["connection"]
    assert connection.recall == pytest.approx(both / theirs.count("connection"), abs=1e-4)
    assert connection.precision == pytest.approx(both / ours.count("connection"), abs=1e-4)


def test_intervals_hold_what_they_promise() -> None:
    """Of 100 samples' intervals about 95 hold the true error."""
    chance = np.random.default_rng(2)
    inside = 0
    for _ in range(100):
        error = chance.choice([0.0, 1.0, 3.0], size=(80, 1), p=[0.5, 0.3, 0.2]) * np.ones((1, 8))
        found = paired_difference(error.mean(axis=1), np.zeros(80), seed=1)
        low, high = found.interval
        inside += low <= 0.9 <= high
    assert 88 <= inside <= 99


def test_paired_differences_see_what_unpaired_ones_cannot(
    scores: tuple[np.ndarray, np.ndarray],
) -> None:
    """A student that is better by a little on every article."""
    student, oracle = scores
    ours = np.abs(student - oracle).mean(axis=1)

    found = paired_difference(ours - 0.02, ours, seed=1)

    assert found.interval == (-0.02, -0.02)


def test_calibration_error_is_the_mean_distance_of_the_bins() -> None:
    """Weighted by their articles."""
    probability = np.array([0.95] * 8 + [0.55] * 2)
    hit = np.array([True] * 4 + [False] * 4 + [True, False])

    error, bins = calibration_error(probability, hit, 10)

    assert error == pytest.approx(0.8 * 0.45 + 0.2 * 0.05)
    assert [(item.articles, item.agreement) for item in bins] == [(2, 0.5), (8, 0.5)]
