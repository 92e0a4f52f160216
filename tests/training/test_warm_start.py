"""fit --from: what a student lends to another run, and where it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from newsieve.errors import StudentInvalid
from newsieve.inference.manifest import ADAPTER
from newsieve_training.errors import FitFailed
from newsieve_training.evaluation.calibrate import calibrate
from newsieve_training.evaluation.evaluate import evaluate
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.fit.stage import checkpoint, fit
from newsieve_training.packaging.package import failures_of, package
from newsieve_training.pipeline.graph import FIT
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import require_up_to_date
from tests.support.fits import ONE_THREAD, history, weights

Make = Callable[..., Recipe]
Prepared = Callable[..., Run]


@pytest.fixture
def student(trained: Run) -> Path:
    package(trained, "a test")
    return trained.path("student")


def test_a_fit_continues_from_a_student(recipe: Make, prepared: Prepared, student: Path) -> None:
    """It starts where that one ended, is another run's result, and needs its folder no more."""
    run = prepared(recipe(fit__epochs=1, fit__learning_rate=1e-6, fit__head_learning_rate=1e-6))
    fit(run, ONE_THREAD)
    from_nothing = history(run)["final"][0]["validation"]["mae"]

    assert fit(run, ONE_THREAD, start=student)

    assert history(run)["final"][0]["validation"]["mae"] < 0.7 * from_nothing
    assert not fit(run, ONE_THREAD)
    assert not fit(run, ONE_THREAD, start=student)
    assert require_up_to_date(run, FIT)["start"] is not None


def test_what_continues_from_a_student_that_may_know_the_judges_fails_its_gate(
    recipe: Make, prepared: Prepared, student: Path
) -> None:
    """The same articles in another split; in its own split it knows only what trains here, too."""
    changes = {"fit__epochs": 1, "fit__learning_rate": 1e-6, "fit__head_learning_rate": 1e-6}
    for seed, passes in ((42, True), (7, False)):
        run = prepared(recipe(split__seed=seed, **changes))
        fit(run, ONE_THREAD, start=student)
        evaluate(run)
        calibrate(run)
        failures = failures_of(run)
        assert any("may have been trained on" in failure for failure in failures) != passes


def test_with_cross_validation_only_what_ships_continues_from_a_student(
    recipe: Make, prepared: Prepared, student: Path
) -> None:
    """It knows all articles: what judges starts from the base."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=1)
    fresh, continued = prepared(made), prepared(made, "continued")
    fit(fresh, ONE_THREAD)

    fit(continued, ONE_THREAD, start=student)

    for fold in ("fold-0", "fold-1"):
        ours, theirs = (checkpoint(run, fold) / ADAPTER for run in (continued, fresh))
        assert ours.read_bytes() == theirs.read_bytes()
    assert weights(continued) != weights(fresh)
    assert TrainingMetadata.read(continued.folder).start.run.startswith("uplifting-")


def test_a_student_of_another_filter_lends_its_adapter_alone(
    recipe: Make, prepared: Prepared, student: Path
) -> None:
    """Its head means something else: ours starts at the labels' mean, as ever."""
    manifest = json.loads((student / "student.json").read_text())
    manifest["label_hash"] = "sha256:" + "0" * 64
    (student / "student.json").write_text(json.dumps(manifest))
    run = prepared(recipe(fit__epochs=1, fit__learning_rate=1e-9, fit__head_learning_rate=1e-9))

    fit(run, ONE_THREAD, start=student)

    ours, theirs = (load_file(f / ADAPTER) for f in (checkpoint(run, "final"), student))
    for name, tensor in ours.items():
        if "score" in name:
            assert not torch.allclose(tensor, theirs[name], atol=1e-3)
        else:
            assert torch.allclose(tensor, theirs[name], atol=1e-3)


def test_a_student_that_does_not_fit_is_refused(
    recipe: Make, prepared: Prepared, student: Path, tmp_path: Path
) -> None:
    """Another rank, scale or base, though its tensors may have the same shapes; no student at all.
    The run is left as it was."""
    for changes, complaint in (
        ({"lora__rank": 2}, "another rank"),
        ({"lora__alpha": 800}, "another α"),
        ({"base__pooling": "last"}, "another pooling"),
    ):
        run = prepared(recipe(**changes))
        with pytest.raises(FitFailed, match=complaint):
            fit(run, ONE_THREAD, start=student)
        assert not run.path("start").exists()
    with pytest.raises(StudentInvalid, match="no usable student"):
        fit(run, ONE_THREAD, start=tmp_path)
