"""fit: what an interruption costs, what runs out, where the head ends."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.errors import FitFailed
from training.fit import checkpoint, fit
from training.labelled import read_source
from training.machine import Machine
from training.model import adapt, require_trainable, trainable_parameters
from training.predict import load_forward, predict, tokens_of
from training.prepare import prepare
from training.recipe import Recipe
from training.run import Run
from training.stage import require
from training.stages import FIT
from training.trainer import StudentTrainer
from worker.engine.manifest import ADAPTER
from worker.engine.model import StudentModel, load_backbone
from worker.rules.catalogue import load

Make = Callable[..., Recipe]
ROOT = Path(__file__).resolve().parents[2]
ONE = Machine(threads=1)
ADAPTERS = ("fold-0", "fold-1", "final")


@pytest.fixture
def prepared(labels: Path, tmp_path: Path) -> Callable[..., Run]:
    def make(recipe: Recipe, name: str = "runs") -> Run:
        return prepare(recipe, [read_source(labels)], tmp_path / name)[0]

    return make


Prepared = Callable[..., Run]


def weights(run: Run, name: str = "final") -> bytes:
    return (checkpoint(run, name) / ADAPTER).read_bytes()


def history(run: Run) -> Any:
    """Without the seconds, which are the clock's."""
    found = run.json("training_history.json")
    return {name: [{**e, "seconds": 0} for e in epochs] for name, epochs in found.items()}


@contextmanager
def dying_at(monkeypatch: pytest.MonkeyPatch, losses: int) -> Iterator[None]:
    """Ends the fit when that many losses were computed, of training or of judging."""
    honest, calls = StudentTrainer.compute_loss, 0

    def dying(*arguments: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls == losses:
            raise KeyboardInterrupt
        return honest(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(StudentTrainer, "compute_loss", dying)
        with pytest.raises(KeyboardInterrupt):
            yield


def interrupt(run: Run, monkeypatch: pytest.MonkeyPatch, losses: int) -> None:
    with dying_at(monkeypatch, losses):
        fit(run, ONE)


def test_a_fit_that_was_interrupted_anywhere_ends_with_the_same_weights(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, and the same history: in the middle of epochs, more than once, with dropout."""
    made = recipe(fit__epochs=3, fit__checkpoint_steps=3, lora__dropout=0.2)
    whole, broken = prepared(made, "whole"), prepared(made, "broken")
    fit(whole, ONE)
    chance = random.Random(5)

    for _ in range(4):
        interrupt(broken, monkeypatch, chance.randrange(1, 16))
    assert fit(broken, ONE)

    assert weights(broken) == weights(whole)
    assert history(broken) == history(whole)
    assert not broken.path(".unfinished").exists()


def test_a_fit_that_was_killed_goes_on(recipe: Make, prepared: Prepared, tmp_path: Path) -> None:
    """`kill -9` in the middle of an epoch, in a process of its own; then elsewhere: the run was
    moved in between."""
    made = recipe(fit__epochs=12, fit__checkpoint_steps=4)
    run, whole = prepared(made), prepared(made, "whole")
    code = "import sys; from training.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "fit", str(run.folder), "--threads", "1"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if len(list(run.folder.glob(".unfinished/fit-*/final/checkpoint-*/history.json"))) > 1:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    moved = Run(tmp_path / "moved" / run.folder.name)
    moved.folder.parent.mkdir()
    run.folder.rename(moved.folder)

    fit(moved, ONE)
    fit(whole, ONE)

    assert weights(moved) == weights(whole)
    assert history(moved) == history(whole)


def test_an_interrupted_cross_validation_keeps_its_finished_folds(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends with the very weights and history of a run that nothing interrupted."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=2)
    run, whole = prepared(made), prepared(made, "whole")
    fit(whole, ONE)

    interrupt(run, monkeypatch, losses=30)
    written = list(run.folder.glob(f".unfinished/fit-*/out/checkpoints/*/{ADAPTER}"))
    assert [path.parent.name for path in written] == ["fold-0"]
    finished_at = written[0].stat().st_mtime_ns
    assert fit(run, ONE)

    assert (checkpoint(run, "fold-0") / ADAPTER).stat().st_mtime_ns == finished_at
    assert [weights(run, name) for name in ADAPTERS] == [weights(whole, n) for n in ADAPTERS]
    assert history(run) == history(whole)


def test_a_half_written_checkpoint_does_not_count(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before it does."""
    made = recipe(fit__epochs=2, fit__checkpoint_steps=2)
    run, whole = prepared(made), prepared(made, "whole")
    interrupt(run, monkeypatch, losses=8)
    last = max(run.folder.glob(".unfinished/fit-*/final/checkpoint-*"))
    (last / "history.json").unlink()
    (last / ADAPTER).write_bytes(b"half")

    fit(run, ONE)
    fit(whole, ONE)

    assert weights(run) == weights(whole)


def test_with_less_memory_fewer_articles_are_on_the_device_at_once(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halved until they fit, the batch kept by accumulation: nearly the same student. Where not
    even one fits, a sentence says so."""
    made = recipe(fit__epochs=3, fit__checkpoint_steps=5)
    roomy, tight = prepared(made), prepared(made, "tight")
    fit(roomy, ONE)
    honest, room = StudentModel.forward, 3

    def forward(self: StudentModel, input_ids: Any, attention_mask: Any) -> Any:
        if self.training and len(input_ids) > room:
            raise torch.OutOfMemoryError("a device of a test")
        return honest(self, input_ids, attention_mask)

    monkeypatch.setattr(StudentModel, "forward", forward)
    fit(tight, ONE)

    ours, theirs = (history(run)["final"] for run in (tight, roomy))
    assert [entry["steps"] for entry in ours] == [entry["steps"] for entry in theirs]
    errors = [epochs[-1]["train"]["mae"] for epochs in (ours, theirs)]
    assert errors[0] == pytest.approx(errors[1], rel=0.15)  # dropout falls differently
    room = 0
    with pytest.raises(FitFailed, match="memory ran out with 1 articles"):
        fit(prepared(recipe(fit__epochs=2)), ONE)


def test_several_processes_train_one_student(recipe: Make, prepared: Prepared) -> None:
    """Two under torchrun, over gloo: the leader writes, both have seen every article, and the
    student is as good as one process's."""
    made = recipe(fit__epochs=6)
    alone, together = prepared(made), prepared(made, "together")
    fit(alone, ONE)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "training", "fit", str(together.folder)),
            *("--threads", "1"),
        ],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3_000:]
    assert require(together, FIT)["processes"] == 2
    assert done.stdout.count(str(together.folder)) == 1
    ours, theirs = (history(run)["final"] for run in (together, alone))
    assert [entry["steps"] for entry in ours] == [entry["steps"] for entry in theirs]
    assert ours[-1]["train"]["mae"] == pytest.approx(theirs[-1]["train"]["mae"], rel=0.2)
    assert not fit(together, ONE)


def test_training_stops_early_and_the_best_epoch_leaves_the_run(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By validation, after as many epochs without a better one as the recipe says; also when it
    is interrupted just then."""
    made = recipe(fit__epochs=12, fit__early_stopping_epochs=1, fit__learning_rate=0.2)
    run, whole = prepared(made), prepared(made, "whole")
    fit(whole, ONE)

    epochs = history(whole)["final"]
    errors = [entry["validation"]["mae"] for entry in epochs]
    assert len(errors) < 12 and errors[-1] > min(errors) == errors[-2]

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(StudentTrainer, "_load_best_model", dying)
        with pytest.raises(KeyboardInterrupt):
            fit(run, ONE)
    fit(run, ONE)
    assert weights(run) == weights(whole)
    assert history(run) == history(whole)


def test_the_other_settings_train(recipe: Make, prepared: Prepared) -> None:
    """bf16 with gradient checkpointing, Huber's loss, steps of warm-up; each changes the weights
    and nothing that is asserted of them."""
    base = prepared(recipe(fit__epochs=2))
    fit(base, ONE)
    for changes in (
        {"fit__precision": "bf16", "fit__gradient_checkpointing": True},
        {"fit__loss": "huber", "fit__warmup": 5.0, "fit__weight_decay": 0.01},
    ):
        run = prepared(recipe(fit__epochs=2, **changes))
        fit(run, ONE)
        assert weights(run) != weights(base)
        assert require(run, FIT)["trainable_parameters"] == 3_848


def test_curves_for_tensorboard_come_on_request(recipe: Make, prepared: Prepared) -> None:
    """In the run's folder."""
    run = prepared(recipe(fit__epochs=2))

    fit(run, ONE, tensorboard=True)

    assert list(run.path("tensorboard", "final").glob("events.out.tfevents.*"))


def test_a_fit_continues_from_a_student(recipe: Make, prepared: Prepared, made: Run) -> None:
    """It starts where that one ended, is another run's result, and needs its folder no more."""
    run = prepared(recipe(fit__epochs=1, fit__learning_rate=1e-6, fit__head_learning_rate=1e-6))
    fit(run, ONE)
    from_nothing = history(run)["final"][0]["validation"]["mae"]

    assert fit(run, ONE, start=checkpoint(made, "final"))

    assert history(run)["final"][0]["validation"]["mae"] < 0.7 * from_nothing
    assert not fit(run, ONE)
    assert require(run, FIT)["start"] is not None


def test_a_student_that_does_not_fit_is_refused(
    recipe: Make, prepared: Prepared, made: Run, tmp_path: Path
) -> None:
    """Another rank; no student at all."""
    run = prepared(recipe(lora__rank=2))

    with pytest.raises(FitFailed, match="another rank"):
        fit(run, ONE, start=checkpoint(made, "final"))
    with pytest.raises(FitFailed, match="holds no student"):
        fit(run, ONE, start=tmp_path)


def test_a_restored_model_that_trains_only_its_head_is_refused(recipe: Make, base: Path) -> None:
    """It would look like a plateau."""
    model = adapt(StudentModel(load_backbone(str(base), "main"), "mean", 8, bias=True), recipe())
    expected = trainable_parameters(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = parameter.requires_grad and "score" in name

    with pytest.raises(FitFailed, match=r"264 parameters are trainable after a test, 3,848 before"):
        require_trainable(model, expected, "after a test")


def test_the_mean_score_on_validation_is_the_labels_mean(made: Run) -> None:
    """Dimension by dimension, before clamping, whatever the loss fits."""
    rows = made.rows("validation")
    names = load("uplifting").definition.dimension_names
    parameters = require(made, FIT)["trainable_parameters"]
    forward = load_forward(made.recipe, checkpoint(made, "final"), parameters)
    scores = predict(forward, tokens_of(made.recipe, [row["text"] for row in rows]), "test")
    labels = np.array([[row["scores"][name] for name in names] for row in rows])

    assert scores.mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=1e-3)


def test_the_history_has_what_the_report_shows(made: Run) -> None:
    """Per epoch, for training and validation, overall and by dimension."""
    epochs = json.loads(made.path("training_history.json").read_text())["final"]

    assert [entry["epoch"] for entry in epochs] == list(range(1, 16))
    assert epochs[-1]["learning_rate"] < epochs[2]["learning_rate"]
    for entry in epochs:
        for kind in ("train", "validation"):
            found = entry[kind]
            by_dimension = [item["mae"] for item in found["dimensions"].values()]
            assert found["mae"] == pytest.approx(np.mean(by_dimension), abs=1e-5)
            assert found["rmse"] >= found["mae"] > 0 and found["loss"] > 0
    metadata = made.json("training_metadata.json")
    assert (metadata["trainable_parameters"], metadata["all_parameters"]) == (3_848, 43_632)
