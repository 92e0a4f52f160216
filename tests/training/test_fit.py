"""fit: what an interruption costs, and where the head ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.fit import _StudentTrainer, checkpoint, fit, tokeniser_of
from training.predict import load_forward
from training.prepare import prepare
from training.recipe import Recipe
from training.run import Run
from worker.engine.manifest import ADAPTER
from worker.rules.catalogue import load

Make = Callable[..., Recipe]
ADAPTERS = ("fold-0", "fold-1", "final")


def test_an_interrupted_fit_goes_on_after_its_last_epoch(
    recipe: Make, labels: Path, tmp_path: Path, trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the very weights of the run that nothing interrupted."""
    run, _ = prepare(recipe(), [labels], tmp_path / "others")
    _interrupt(run, monkeypatch, losses=100)
    assert fit(run, threads=1)

    ours, theirs = (checkpoint(item, "final") / ADAPTER for item in (run, trained))
    assert ours.read_bytes() == theirs.read_bytes()
    history = json.loads(run.path("training_history.json").read_text())["final"]
    assert [entry["epoch"] for entry in history if "eval_mae" in entry] == list(range(1, 16))


def _interrupt(run: Run, monkeypatch: pytest.MonkeyPatch, losses: int) -> None:
    """Fit until that many losses were computed."""
    honest, calls = _StudentTrainer.compute_loss, 0

    def dying(*arguments: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls == losses:
            raise KeyboardInterrupt
        return honest(*arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(_StudentTrainer, "compute_loss", dying)
        with pytest.raises(KeyboardInterrupt):
            fit(run, threads=1)


def test_an_interrupted_cross_validation_keeps_its_finished_folds(
    recipe: Make, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends with the very weights and history of a run that nothing interrupted."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=2)
    run, whole = (prepare(made, [labels], tmp_path / name)[0] for name in ("ours", "theirs"))
    fit(whole, threads=1)

    _interrupt(run, monkeypatch, losses=30)
    written = [path for name in ADAPTERS if (path := checkpoint(run, name) / ADAPTER).exists()]
    assert written == [checkpoint(run, "fold-0") / ADAPTER]
    finished_at = written[0].stat().st_mtime_ns
    assert fit(run, threads=1)

    assert written[0].stat().st_mtime_ns == finished_at
    for name in ADAPTERS:
        ours, theirs = (checkpoint(item, name) / ADAPTER for item in (run, whole))
        assert ours.read_bytes() == theirs.read_bytes()
    assert _losses(run) == _losses(whole)
    assert list(_losses(run)) == list(ADAPTERS)


def _losses(run: Run) -> dict[str, list[float]]:
    history = json.loads(run.path("training_history.json").read_text())
    return {
        name: [entry["loss"] for entry in entries if "loss" in entry]
        for name, entries in history.items()
    }


@pytest.mark.parametrize("kind", ["cross_validation", "holdout"])
def test_what_an_interrupted_fit_made_of_other_inputs_is_trained_anew(
    recipe: Make, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Finished folds and half-trained adapters; nothing of them is left."""
    made = recipe(split__kind=kind, split__folds=2, fit__epochs=3)
    run, whole = (prepare(made, [labels], tmp_path / name)[0] for name in ("ours", "theirs"))
    _interrupt(run, monkeypatch, losses=50 if kind == "cross_validation" else 30)
    for item in (run, whole):
        data = item.path("data", "train.jsonl")
        data.write_text(data.read_text().replace("heal", "help"))
        item.record("prepare", "others")

    assert fit(run, threads=1)
    assert fit(whole, threads=1)

    names = sorted(path.name for path in run.path("checkpoints").iterdir())
    assert names == sorted(ADAPTERS if kind == "cross_validation" else ["final"])
    for name in names:
        ours, theirs = (checkpoint(item, name) / ADAPTER for item in (run, whole))
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_mean_score_on_validation_is_the_labels_mean(trained: Run) -> None:
    """Dimension by dimension, before clamping, whatever the loss fits."""
    rows = trained.rows("validation")
    names = load("uplifting").definition.dimension_names
    forward = load_forward(
        trained.recipe, checkpoint(trained, "final"), trained.facts["trainable_parameters"]
    )
    tokens = tokeniser_of(trained.recipe).encode([row["text"] for row in rows])
    scores = np.array([forward([item.ids])[0].tolist() for item in tokens])
    labels = np.array([[row["scores"][name] for name in names] for row in rows])

    assert scores.mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=1e-3)
