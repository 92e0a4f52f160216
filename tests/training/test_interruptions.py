"""fit, interrupted: it goes on, to the same weights."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from newsieve.inference.manifest import ADAPTER
from newsieve_training.fit.stage import fit
from newsieve_training.pipeline.recipe import Recipe
from newsieve_training.pipeline.run_folder import Run
from tests.support.filters import BUILTIN
from tests.support.fits import ONE_THREAD, history, interrupt, weights

Make = Callable[..., Recipe]
Prepared = Callable[..., Run]
ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = ("fold-0", "fold-1", "final")


def test_a_fit_that_was_interrupted_anywhere_ends_with_the_same_weights(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, and the same history: in the middle of epochs, more than once, with dropout."""
    made = recipe(fit__epochs=3, fit__checkpoint_steps=3, lora__dropout=0.2)
    whole, broken = prepared(made, "whole"), prepared(made, "broken")
    fit(whole, ONE_THREAD)
    chance = random.Random(5)

    for _ in range(3):
        interrupt(broken, monkeypatch, chance.randrange(1, 16))
    assert fit(broken, ONE_THREAD)

    assert weights(broken) == weights(whole)
    assert history(broken) == history(whole)
    assert not broken.path(".unfinished").exists()


def test_a_fit_that_was_killed_goes_on(recipe: Make, prepared: Prepared, tmp_path: Path) -> None:
    """`kill -9` in the middle of an epoch, in a process of its own; then elsewhere: the run was
    moved in between."""
    made = recipe(fit__epochs=6, fit__checkpoint_steps=4)
    run, whole = prepared(made), prepared(made, "whole")
    code = "import sys; from newsieve_training.cli.main import main; main()"
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
    moved = Run(tmp_path / "moved" / run.folder.name, BUILTIN)
    moved.folder.parent.mkdir()
    run.folder.rename(moved.folder)

    fit(moved, ONE_THREAD)
    fit(whole, ONE_THREAD)

    assert weights(moved) == weights(whole)
    assert history(moved) == history(whole)


def test_an_interrupted_cross_validation_keeps_its_finished_folds(
    recipe: Make, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends with the very weights and history of a run that nothing interrupted."""
    made = recipe(split__kind="cross_validation", split__folds=2, fit__epochs=2)
    run, whole = prepared(made), prepared(made, "whole")
    fit(whole, ONE_THREAD)

    interrupt(run, monkeypatch, losses=30)
    written = list(run.folder.glob(f".unfinished/fit-*/out/checkpoints/*/{ADAPTER}"))
    assert [path.parent.name for path in written] == ["fold-0"]
    finished_at = written[0].stat().st_mtime_ns
    interrupt(run, monkeypatch, losses=1)

    assert written[0].stat().st_mtime_ns == finished_at
    assert fit(run, ONE_THREAD)
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

    fit(run, ONE_THREAD)
    fit(whole, ONE_THREAD)

    assert weights(run) == weights(whole)
