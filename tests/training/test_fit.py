"""fit: what an interruption costs, what runs out, where the head ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from newsieve.inference.model import StudentModel, load_backbone
from newsieve_training.errors import FitFailed
from newsieve_training.evaluation.predict import load_forward, predict, tokens_of
from newsieve_training.evaluation.results import Metrics
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.history import History
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.fit.model import adapt, require_trainable, trainable_parameters
from newsieve_training.fit.stage import checkpoint, fit
from newsieve_training.fit.trainer import StudentTrainer
from newsieve_training.pipeline.graph import FIT
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import require_up_to_date
from tests.support.cli import newsieve_train
from tests.support.filters import load
from tests.support.fits import ONE_THREAD, history, weights

Make = Callable[..., Recipe]
ROOT = Path(__file__).resolve().parents[2]


Prepared = Callable[..., Run]


def test_with_less_memory_fewer_articles_are_on_the_device_at_once(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halved until they fit, the batch kept by accumulation: nearly the same student. Where not
    even one fits, a sentence says so."""
    made = recipe(fit__epochs=2, fit__checkpoint_steps=5)
    roomy, tight = prepared(made), prepared(made, "tight")
    fit(roomy, ONE_THREAD)
    honest, room = StudentModel.forward, 3

    def forward(self: StudentModel, input_ids: Any, attention_mask: Any) -> Any:
        if self.training and len(input_ids) > room:
            raise torch.OutOfMemoryError("a device of a test")
        return honest(self, input_ids, attention_mask)

    monkeypatch.setattr(StudentModel, "forward", forward)
    fit(tight, ONE_THREAD)

    ours, theirs = (history(run)["final"] for run in (tight, roomy))
    assert [entry["steps"] for entry in ours] == [entry["steps"] for entry in theirs]
    errors = [epochs[-1]["train"]["mae"] for epochs in (ours, theirs)]
    assert errors[0] == pytest.approx(errors[1], rel=0.15)  # dropout falls differently
    room = 0
    with pytest.raises(FitFailed, match="memory ran out with 1 articles"):
        fit(prepared(recipe(fit__micro_batch=1)), ONE_THREAD)


def test_several_processes_train_one_student(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two under torchrun, over gloo: the leader writes, steps are as many, and the student is about
    as good as one process's. Other stages refuse."""
    made = recipe(fit__epochs=3)
    alone, together = prepared(made), prepared(made, "together")
    fit(alone, ONE_THREAD)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "newsieve_training", "fit", str(together.folder)),
            *("--threads", "1"),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3_000:]
    assert require_up_to_date(together, FIT)["processes"] == 2
    assert done.stdout.count(str(together.folder)) == 1
    ours, theirs = (history(run)["final"] for run in (together, alone))
    assert [entry["steps"] for entry in ours] == [entry["steps"] for entry in theirs]
    assert ours[-1]["train"]["mae"] == pytest.approx(theirs[-1]["train"]["mae"], rel=0.2)
    assert not fit(together, ONE_THREAD)
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = newsieve_train("evaluate", str(together.folder))
    assert refused.code == 2 and "torchrun is for `fit` alone" in refused.err


def test_training_stops_early_and_the_best_epoch_leaves_the_run(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By validation, after as many epochs without a better one as the recipe says; also when it
    is interrupted just then."""
    made = recipe(fit__epochs=12, fit__early_stopping_epochs=1, fit__learning_rate=0.2)
    run, whole = prepared(made), prepared(made, "whole")
    fit(whole, ONE_THREAD)

    epochs = history(whole)["final"]
    errors = [entry["validation"]["mae"] for entry in epochs]
    assert len(errors) < 12 and errors[-1] > min(errors) == errors[-2]

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StudentTrainer, "_load_best_model", dying)
        with pytest.raises(KeyboardInterrupt):
            fit(run, ONE_THREAD)
    fit(run, ONE_THREAD)
    assert weights(run) == weights(whole)
    assert history(run) == history(whole)


def test_the_other_settings_train(recipe: Make, prepared: Prepared) -> None:
    """bf16 with gradient checkpointing, Huber's loss, steps of warm-up; each changes the weights
    and nothing that is asserted of them."""
    base = prepared(recipe(fit__epochs=2))
    fit(base, ONE_THREAD)
    for changes in (
        {"fit__precision": "bf16", "fit__gradient_checkpointing": True},
        {"fit__loss": "huber", "fit__warmup": 5.0, "fit__weight_decay": 0.01},
    ):
        run = prepared(recipe(fit__epochs=2, **changes))
        fit(run, ONE_THREAD)
        assert weights(run) != weights(base)
        assert require_up_to_date(run, FIT)["trainable_parameters"] == 3_848


def test_curves_for_tensorboard_come_on_request(recipe: Make, prepared: Prepared) -> None:
    """In the run's folder."""
    run = prepared(recipe(fit__epochs=2))

    fit(run, ONE_THREAD, tensorboard=True)

    assert list(run.path("tensorboard", "final").glob("events.out.tfevents.*"))


def test_a_fit_that_diverges_or_cannot_begin_says_why(recipe: Make, prepared: Prepared) -> None:
    """Rates that are too high, layers that there are not, more tokens than the base reads."""
    for changes, complaint in (
        ({"lora__targets": "no such layer"}, "lora.targets"),
        ({"base__max_tokens": 100_000}, "reads .* at most"),
    ):
        with pytest.raises(FitFailed, match=complaint):
            fit(prepared(recipe(**changes)), ONE_THREAD)
    history_ = History(["agency"], None)
    nan = torch.tensor(float("nan"))
    history_.add(torch.zeros(2, 1), torch.zeros(2, 1), nan)
    with pytest.raises(FitFailed, match="not finite in epoch 1"):
        history_.on_epoch_end(TrainingArguments(), TrainerState(), TrainerControl())


def test_a_restored_model_that_trains_only_its_head_is_refused(recipe: Make, base: Path) -> None:
    """It would look like a plateau."""
    model = adapt(StudentModel(load_backbone(base), "mean", 8, bias=True), recipe())
    expected = trainable_parameters(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = parameter.requires_grad and "score" in name

    with pytest.raises(FitFailed, match=r"264 parameters are trainable after a test, 3,848 before"):
        require_trainable(model, expected, "after a test")


def test_the_mean_score_on_validation_is_the_labels_mean(made: Run) -> None:
    """Dimension by dimension, before clamping, whatever the loss fits."""
    rows = made.rows("validation")
    names = load("uplifting").definition.dimension_names
    parameters = require_up_to_date(made, FIT)["trainable_parameters"]
    forward = load_forward(made.recipe, made.filter, checkpoint(made, "final"), parameters)
    scores = predict(forward, tokens_of(made.recipe, [row["text"] for row in rows]), "test")
    labels = np.array([[row["scores"][name] for name in names] for row in rows])

    assert scores.mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=1e-3)


def test_the_history_has_what_the_report_shows(made: Run) -> None:
    """Per epoch, for training and validation, overall and by dimension."""
    history_ = TrainingHistory.read(made.folder)
    epochs = history_.epochs

    assert [item.epoch for item in epochs] == list(range(1, 16))
    assert epochs[-1].learning_rate < epochs[2].learning_rate
    for item in epochs:
        for errors in (item.train, item.validation):
            by_dimension = [dimension.mae for dimension in errors.dimensions.values()]
            assert errors.mae == pytest.approx(np.mean(by_dimension), abs=1e-5)
            assert errors.rmse >= errors.mae > 0 and errors.loss > 0
    evaluated = Metrics.read(made.folder).quality["validation"]["student"]
    best = min(epochs, key=lambda item: item.validation.mae)
    assert best.centred.mae == pytest.approx(evaluated.mae, abs=1e-3)
    assert history_.shipped.validation == best.centred
    assert set(best.head_moved_by) == set(load("uplifting").definition.dimension_names)
    metadata = TrainingMetadata.read(made.folder)
    assert (metadata.trainable_parameters, metadata.all_parameters) == (3_848, 43_632)
