"""Records a fit while it runs: errors of training and validation, rates and seconds by epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve_training.errors import FitFailed
from newsieve_training.fit.epochs import DimensionErrors, Epoch, Errors
from newsieve_training.pipeline.result_files import Part, ResultFile

Floats = npt.NDArray[np.float64]

DECIMALS: Final = 6
MEASURED: Final = ("absolute", "squared")


def errors_of(
    absolute: Sequence[float], squared: Sequence[float], loss: float, names: Sequence[str]
) -> Errors:
    """Build a history entry of the mean absolute and squared errors of each dimension."""
    return Errors(
        mae=_rounded(np.mean(absolute)),
        rmse=_rounded(np.sqrt(np.mean(squared))),
        loss=_rounded(loss),
        dimensions={
            name: DimensionErrors(mae=_rounded(a), rmse=_rounded(np.sqrt(s)))
            for name, a, s in zip(names, absolute, squared, strict=True)
        },
    )


def mean_errors(scores: Floats, labels: Floats, names: Sequence[str]) -> dict[str, float]:
    """Return mean errors of (N, D) raw scores, by the names that `on_evaluate` reads."""
    error = np.clip(scores, SCORE_MIN, SCORE_MAX) - labels
    by_name = {"mae": float(np.abs(error).mean())}
    for kind, values in zip(MEASURED, (np.abs(error), error**2), strict=True):
        means = values.mean(axis=0).tolist()
        by_name |= {f"{kind}:{name}": mean for name, mean in zip(names, means, strict=True)}
    return by_name


class HistorySnapshot(Part, ResultFile):
    """The history in the middle of an epoch, as a checkpoint keeps it: its file is written last,
    and so says that the checkpoint is whole."""

    FILE: ClassVar = "history.json"

    epochs: list[Epoch]
    sums: list[float]
    seconds: float


class History(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Collects the errors of each epoch, and can be saved in the middle of one.

    Training errors are those of the steps themselves: with dropout, and by weights that the rest
    of the epoch still changed.
    """

    def __init__(self, names: Sequence[str], patience: int | None) -> None:
        """Stop training after `patience` epochs without a better validation; None: never."""
        self.epochs: list[Epoch] = []
        self._names = names
        self._patience = patience
        self._sums: Tensor | None = None  # articles, loss, then absolute and squared by dimension
        self._earlier = [0.0] * (2 + 2 * len(names))  # sums of before an interruption
        self._earlier_seconds = 0.0
        self._start = time.monotonic()

    def add(self, scores: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a micro-batch's (N, D) scores and labels, and its mean loss. Waits for no device."""
        error = (scores.detach().clamp(SCORE_MIN, SCORE_MAX) - labels).double()
        count = error.new_tensor([float(len(error))])
        parts = [count, loss.detach().double().reshape(1) * count, error.abs().sum(0)]
        sums = torch.cat([*parts, error.square().sum(0)])
        self._sums = sums if self._sums is None else self._sums + sums

    def on_epoch_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **more: Any
    ) -> None:
        """Record the training errors of the epoch. Raises FitFailed for a loss that diverged."""
        count, loss, *sums = self._total()
        if not math.isfinite(loss):
            raise FitFailed(
                f"the loss was not finite in epoch {len(self.epochs) + 1}: lower fit.learning_rate "
                "and fit.head_learning_rate"
            )
        width = len(self._names)
        means = [value / max(count, 1) for value in sums]
        self.epochs.append(
            Epoch(
                epoch=len(self.epochs) + 1,
                steps=state.global_step,
                learning_rate=more["lr_scheduler"].get_last_lr()[0],
                seconds=round(self._seconds(), 1),
                train=errors_of(means[:width], means[width:], loss / max(count, 1), self._names),
                validation=None,
            )
        )
        self._sums, self._earlier, self._earlier_seconds = None, [0.0] * (2 + 2 * width), 0.0
        self._start = time.monotonic()

    def on_evaluate(
        self, _args: TrainingArguments, _state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Record the validation errors of the epoch, and end training after the last one."""
        metrics: Mapping[str, float] = more["metrics"]
        absolute, squared = (
            [metrics[f"eval_{kind}:{name}"] for name in self._names] for kind in MEASURED
        )
        errors = errors_of(absolute, squared, metrics["eval_loss"], self._names)
        self.epochs[-1] = self.epochs[-1].model_copy(update={"validation": errors})
        if self.is_over:
            control.should_training_stop = True

    def center_best(self, scores: Floats, labels: Floats, loss: float, moved: Floats) -> None:
        """Record what the best epoch errs by, with (N, D) raw scores, after its head was moved by
        (D,)."""
        means = mean_errors(scores, labels, self._names)
        absolute, squared = ([means[f"{kind}:{n}"] for n in self._names] for kind in MEASURED)
        best = int(np.argmin(self._validated()))
        self.epochs[best] = self.epochs[best].model_copy(
            update={
                "centred": errors_of(absolute, squared, loss, self._names),
                "head_moved_by": dict(zip(self._names, map(_rounded, moved), strict=True)),
            }
        )

    @property
    def is_over(self) -> bool:
        """Whether the best validation is further back than the patience."""
        validated = self._validated()
        best = int(np.argmin(validated)) if validated else 0
        return self._patience is not None and len(validated) - 1 - best >= self._patience

    def _validated(self) -> list[float]:
        """Return the validation errors so far: of each epoch, or of none."""
        return [item.validation.mae for item in self.epochs if item.validation is not None]

    def snapshot(self) -> HistorySnapshot:
        """Return what `restore` takes. Every process must call it: it adds up all their sums."""
        return HistorySnapshot(epochs=self.epochs, sums=self._total(), seconds=self._seconds())

    def restore(self, snapshot: HistorySnapshot, *, is_leader: bool) -> None:
        """Go on from a snapshot. The sums of all processes are given to the leader alone."""
        self.epochs = list(snapshot.epochs)
        self._earlier_seconds = snapshot.seconds
        if is_leader:
            self._earlier = list(snapshot.sums)
        self._start = time.monotonic()

    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._start

    def _total(self) -> list[float]:
        """Return the sums over all processes."""
        total = torch.tensor(self._earlier, dtype=torch.float64)
        if self._sums is not None:
            total = total.to(self._sums.device) + self._sums
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
        sums: list[float] = total.tolist()
        return sums


def _rounded(value: Any) -> float:
    return round(float(value), DECIMALS)
