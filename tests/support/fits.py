"""What a fit left behind, and ending one on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from newsieve.inference.manifest import ADAPTER
from newsieve_training.data.manifest import DataManifest
from newsieve_training.fit.environment import Machine
from newsieve_training.fit.epochs import TrainingHistory
from newsieve_training.fit.stage import checkpoint, fit
from newsieve_training.fit.trainer import StudentTrainer
from newsieve_training.pipeline.run_folder import Run

ONE_THREAD = Machine(threads=1)


def weights(run: Run, name: str = "final") -> bytes:
    return (checkpoint(run, name) / ADAPTER).read_bytes()


def history(run: Run) -> Any:
    return TrainingHistory.read(run.folder).without_seconds()


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
        fit(run, ONE_THREAD)


def split_of(run: Run) -> dict[str, str]:
    return {row["id"]: name for name in ("train", "validation", "test") for row in run.rows(name)}


def manifest_of(run: Run) -> DataManifest:
    return DataManifest.read(run.folder)
