"""The promotion report: new against old, on articles that neither was trained on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.errors import RunInvalid
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.fit.stage import fit
from newsieve_training.packaging.package import package
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.reports.promotion import PromotionReport, promotion, verdict_of
from tests.support.filters import BUILTIN
from tests.support.fits import ONE_THREAD
from tests.support.labels import label_rows, write_rows

Make = Callable[..., Recipe]


@pytest.fixture
def old(trained: Run) -> Path:
    """A student of the first 120 labels."""
    package(trained, "a test")
    return trained.path("student")


@pytest.fixture
def more(tmp_path: Path) -> Path:
    """Labels that it has not seen."""
    rows = [{**row, "id": f"new-{row['id']}", "url": None} for row in label_rows(60, seed=9)]
    return write_rows(tmp_path / "more.jsonl", rows)


def judged(recipe: Recipe, labels: Path, extends: Run | None, runs: Path) -> Run:
    run, _ = prepare(recipe, [read_source(labels)], runs, BUILTIN, extends)
    fit(run, ONE_THREAD)
    evaluate(run)
    calibrate(run)
    return run


def test_the_better_student_is_said_to_be_better(
    recipe: Make, trained: Run, old: Path, more: Path, tmp_path: Path
) -> None:
    """And the worse one worse, by paired intervals; the run extends the old one's, so it is fair:
    old test articles stay what they were, new ones were never seen."""
    worse = judged(recipe(fit__epochs=1), more, trained, tmp_path / "worse")

    assert promotion(worse, old) == "worse"

    report = PromotionReport.read(worse.folder)
    text = worse.path("training_reports", "promotion_report.md").read_text()
    assert report.is_fair and "do not promote it" in text
    assert report.articles == len(worse.rows("test")) > len(trained.rows("test"))
    low, high = report.mae.interval
    assert 0 < low < report.mae.difference < high
    package(worse, "a test")
    shutil.copytree(worse.path("student"), tmp_path / "bad")
    better = judged(recipe(fit__epochs=6), more, trained, tmp_path / "better")
    assert promotion(better, tmp_path / "bad") == "better"
    text = better.path("training_reports", "promotion_report.md").read_text()
    assert ": promote it" in text and "drift monitor" in text


def test_where_the_old_student_may_know_the_judges_nothing_is_recommended(
    recipe: Make, old: Path, labels: Path, tmp_path: Path
) -> None:
    """The same labels in other splits."""
    run, _ = prepare(
        recipe(split__seed=7, fit__epochs=1), [read_source(labels)], tmp_path / "runs", BUILTIN
    )
    fit(run, ONE_THREAD)
    evaluate(run)
    calibrate(run)

    assert promotion(run, old) == "not fairly comparable"

    text = run.path("training_reports", "promotion_report.md").read_text()
    assert "recommends nothing" in text and "promote it" not in text


@pytest.mark.parametrize(
    ("error", "agreement", "verdict"),
    [
        ([-0.2, -0.1], [-0.05, 0.05], "better"),
        ([-0.2, -0.1], [-0.09, -0.01], "better in error, worse in tiers"),
        ([-0.1, 0.1], [-0.09, -0.01], "worse"),
        ([0.1, 0.2], [0.0, 0.1], "worse"),
        ([-0.1, 0.1], [-0.1, 0.1], "not shown to differ"),
    ],
)
def test_the_verdict_looks_at_errors_and_tiers(
    error: list[float], agreement: list[float], verdict: str
) -> None:
    """By both intervals of new minus old."""
    assert verdict_of(error, agreement) == verdict


def test_a_student_is_not_shown_to_differ_from_itself(trained: Run, old: Path) -> None:
    """The interval holds nought."""
    assert promotion(trained, old) == "not shown to differ"
    assert PromotionReport.read(trained.folder).mae.difference == 0


def test_with_cross_validation_only_new_articles_judge_both(
    recipe: Make, old: Path, more: Path, labels: Path, tmp_path: Path
) -> None:
    """The old student that ships has been trained on all of its run."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=2)
    first, _ = prepare(made, [read_source(labels)], tmp_path / "first", BUILTIN)
    second = judged(made, more, first, tmp_path / "second")

    promotion(second, old)

    assert PromotionReport.read(second.folder).articles == 60
    nothing = write_rows(tmp_path / "nothing.jsonl", label_rows(120, seed=3)[:1])
    same, _ = prepare(made, [read_source(nothing)], tmp_path / "same", BUILTIN, first)
    with pytest.raises(RunInvalid, match="prepare the new run with --extend"):
        promotion(same, old)
