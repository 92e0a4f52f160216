"""How a fit went, epoch by epoch: what training and validation erred by, at what rate, how long."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve_training.errors import FitFailed

Floats = npt.NDArray[np.float64]

DECIMALS: Final = 6
MEASURED: Final = ("absolute", "squared")


def errors(
    absolute: Sequence[float], squared: Sequence[float], loss: float, names: Sequence[str]
) -> dict[str, Any]:
    """Mean absolute and squared errors of each dimension, as history entries have them."""
    return {
        "mae": _rounded(np.mean(absolute)),
        "rmse": _rounded(np.sqrt(np.mean(squared))),
        "loss": _rounded(loss),
        "dimensions": {
            name: {"mae": _rounded(a), "rmse": _rounded(np.sqrt(s))}
            for name, a, s in zip(names, absolute, squared, strict=True)
        },
    }


def measured(scores: Floats, labels: Floats, names: Sequence[str]) -> dict[str, float]:
    """Mean errors of (N, D) raw scores, by the names under which `on_evaluate` finds them."""
    error = np.clip(scores, SCORE_MIN, SCORE_MAX) - labels
    found = {"mae": float(np.abs(error).mean())}
    for kind, values in zip(MEASURED, (np.abs(error), error**2), strict=True):
        means = values.mean(axis=0).tolist()
        found |= {f"{kind}:{name}": mean for name, mean in zip(names, means, strict=True)}
    return found


class History(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Collects, and can be saved in the middle of an epoch. Training errors are those of the
    steps themselves: with dropout, by weights that were still on their way."""

    def __init__(self, names: Sequence[str], patience: int | None) -> None:
        """`patience` in epochs: after as many without a better validation, training stops."""
        self.epochs: list[dict[str, Any]] = []
        self._names = names
        self._patience = patience
        self._sums: Tensor | None = None  # articles, loss, then absolute and squared by dimension
        self._earlier = [0.0] * (2 + 2 * len(names))  # sums of before an interruption
        self._earlier_seconds = 0.0
        self._start = time.monotonic()

    def add(self, scores: Tensor, labels: Tensor, loss: Tensor) -> None:
        """A micro-batch's (N, D) scores and labels, and its mean loss. Waits for no device."""
        error = (scores.detach().clamp(SCORE_MIN, SCORE_MAX) - labels).double()
        count = error.new_tensor([float(len(error))])
        parts = [count, loss.detach().double().reshape(1) * count, error.abs().sum(0)]
        sums = torch.cat([*parts, error.square().sum(0)])
        self._sums = sums if self._sums is None else self._sums + sums

    def on_epoch_end(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **more: Any
    ) -> None:
        """The epoch's training errors."""
        count, loss, *sums = self._total()
        if not math.isfinite(loss):
            raise FitFailed(
                f"the loss was not finite in epoch {len(self.epochs) + 1}: lower fit.learning_rate "
                "and fit.head_learning_rate"
            )
        width = len(self._names)
        means = [value / max(count, 1) for value in sums]
        self.epochs.append(
            {
                "epoch": len(self.epochs) + 1,
                "steps": state.global_step,
                "learning_rate": more["lr_scheduler"].get_last_lr()[0],
                "seconds": round(self._seconds(), 1),
                "train": errors(means[:width], means[width:], loss / max(count, 1), self._names),
                "validation": None,
            }
        )
        self._sums, self._earlier, self._earlier_seconds = None, [0.0] * (2 + 2 * width), 0.0
        self._start = time.monotonic()

    def on_evaluate(
        self, _args: TrainingArguments, _state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """The epoch's validation errors, and whether it was the last."""
        metrics: Mapping[str, float] = more["metrics"]
        absolute, squared = (
            [metrics[f"eval_{kind}:{name}"] for name in self._names] for kind in MEASURED
        )
        self.epochs[-1]["validation"] = errors(absolute, squared, metrics["eval_loss"], self._names)
        if self.is_over:
            control.should_training_stop = True

    def centre(self, scores: Floats, labels: Floats, loss: float, moved: Floats) -> None:
        """What the best epoch errs by, (N, D) raw scores, after its head was moved by (D,)."""
        found = measured(scores, labels, self._names)
        absolute, squared = ([found[f"{kind}:{n}"] for n in self._names] for kind in MEASURED)
        best = min(self.epochs, key=lambda entry: float(entry["validation"]["mae"]))
        best["centred"] = errors(absolute, squared, loss, self._names)
        best["head_moved_by"] = dict(zip(self._names, map(_rounded, moved), strict=True))

    @property
    def is_over(self) -> bool:
        """Whether the best validation is further back than the patience."""
        found = [entry["validation"]["mae"] for entry in self.epochs if entry["validation"]]
        best = int(np.argmin(found)) if found else 0
        return self._patience is not None and len(found) - 1 - best >= self._patience

    def facts(self) -> dict[str, Any]:
        """What `restore` takes. Every process must ask: they add up what each has seen."""
        return {"epochs": self.epochs, "sums": self._total(), "seconds": self._seconds()}

    def restore(self, facts: Mapping[str, Any], *, is_leader: bool) -> None:
        """Go on from there. The sums of all processes are the leader's alone."""
        self.epochs = list(facts["epochs"])
        self._earlier_seconds = facts["seconds"]
        if is_leader:
            self._earlier = list(facts["sums"])
        self._start = time.monotonic()

    def _seconds(self) -> float:
        return self._earlier_seconds + time.monotonic() - self._start

    def _total(self) -> list[float]:
        """Sums over all processes."""
        total = torch.tensor(self._earlier, dtype=torch.float64)
        if self._sums is not None:
            total = total.to(self._sums.device) + self._sums
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(total)
        found: list[float] = total.tolist()
        return found


def _rounded(value: Any) -> float:
    return round(float(value), DECIMALS)
