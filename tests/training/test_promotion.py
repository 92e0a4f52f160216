"""The promotion report: new against old, on articles that neither was trained on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fits import ONE_THREAD
from tests.support.labels import label_rows, write_rows
from training.calibrate import calibrate
from training.errors import RunInvalid
from training.evaluate import evaluate
from training.fit import fit
from training.labelled import read_source
from training.package import package
from training.prepare import prepare
from training.promotion import promotion
from training.recipe import Recipe
from training.run import Run

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
    run, _ = prepare(recipe, [read_source(labels)], runs, extends)
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

    facts = worse.json("training_reports", "promotion_report.json")
    text = worse.path("training_reports", "promotion_report.md").read_text()
    assert facts["is_fair"] and "do not promote it" in text
    assert facts["articles"] == len(worse.rows("test")) > len(trained.rows("test"))
    low, high = facts["mae"]["interval"]
    assert 0 < low < facts["mae"]["difference"] < high
    package(worse, "a test")
    shutil.copytree(worse.path("student"), tmp_path / "bad")
    better = judged(recipe(), more, trained, tmp_path / "better")
    assert promotion(better, tmp_path / "bad") == "better"
    text = better.path("training_reports", "promotion_report.md").read_text()
    assert "recommends nothing" in text and "drift monitor" in text


def test_a_student_is_not_shown_to_differ_from_itself(trained: Run, old: Path) -> None:
    """The interval holds nought."""
    assert promotion(trained, old) == "not shown to differ"
    assert trained.json("training_reports", "promotion_report.json")["mae"]["difference"] == 0


def test_with_cross_validation_only_new_articles_judge_both(
    recipe: Make, old: Path, more: Path, labels: Path, tmp_path: Path
) -> None:
    """The old student that ships has been trained on all of its run."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=2)
    first, _ = prepare(made, [read_source(labels)], tmp_path / "first")
    second = judged(made, more, first, tmp_path / "second")

    promotion(second, old)

    assert second.json("training_reports", "promotion_report.json")["articles"] == 60
    nothing = write_rows(tmp_path / "nothing.jsonl", label_rows(120, seed=3)[:1])
    same, _ = prepare(made, [read_source(nothing)], tmp_path / "same", first)
    with pytest.raises(RunInvalid, match="prepare the new run with --extend"):
        promotion(same, old)
