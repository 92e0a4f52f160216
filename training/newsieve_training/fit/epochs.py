"""How a fit went, epoch by epoch: the content of training_history.json, and how to read it.

Which epoch was shipped, means over folds, the gap between training and validation. Pure but for
reading and writing the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
from pydantic import RootModel

from newsieve_training.pipeline.result_files import Part, ResultFile, as_json

FINAL: Final = "final"
# Relative gaps between training and validation error, as a share of the training error.
MODERATE_GAP: Final = 0.15
LARGE_GAP: Final = 0.30


class DimensionErrors(Part):
    """The mean absolute and the root mean squared error of one dimension."""

    mae: float
    rmse: float


class Errors(Part):
    """What a student errs by on a set of articles, overall and by dimension, and its mean loss."""

    mae: float
    rmse: float
    loss: float
    dimensions: dict[str, DimensionErrors]


class Epoch(Part):
    """One epoch of a fit. `centred` are the validation errors of the best epoch after the bias of
    its head was moved by `head_moved_by`; other epochs have neither."""

    epoch: int
    steps: int
    learning_rate: float
    seconds: float
    train: Errors
    validation: Errors | None
    centred: Errors | None = None
    head_moved_by: dict[str, float] | None = None


class TrainingHistory(RootModel[dict[str, list[Epoch]]], ResultFile):
    """The content of training_history.json: the epochs of each adapter, by the adapter's name.

    `final` is the adapter that ships; with cross-validation there is one more for each fold.
    """

    FILE: ClassVar = "training_history.json"

    def without_seconds(self) -> dict[str, Any]:
        """Return the history without wall-clock times: the reproducible part of it."""
        return {
            name: [{key: value for key, value in epoch.items() if key != "seconds"} for epoch in e]
            for name, e in as_json(self).items()
        }

    @property
    def is_cross_validated(self) -> bool:
        return len(self.root) > 1

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the least validation error, which leaves the run; None without one."""
        final = self.root[FINAL]
        validated = [(item.validation.mae, item.epoch) for item in final if item.validation]
        return min(validated)[1] if validated else None

    @property
    def epochs(self) -> list[Epoch]:
        """The epochs of the student that ships; with cross-validation means over the folds."""
        folds = [epochs for name, epochs in self.root.items() if name != FINAL]
        return [_mean_epoch(same) for same in zip(*(folds or [self.root[FINAL]]), strict=True)]

    @property
    def shipped(self) -> Epoch:
        """The epoch that ships, its validation after the head was centred, if it was; with
        cross-validation the means of the last one."""
        epochs, best = self.epochs, self.best_epoch
        epoch = epochs[-1] if best is None else epochs[best - 1]
        return epoch.model_copy(update={"validation": epoch.centred or epoch.validation})


class Gap(NamedTuple):
    """Validation error minus training error, and that as a share of the training error."""

    absolute: float
    relative: float


def gap_of(epoch: Epoch) -> Gap | None:
    if epoch.validation is None:
        return None
    train, validation = epoch.train.mae, epoch.validation.mae
    return Gap(validation - train, (validation - train) / train if train else 0.0)


def gap_sentence(gap: Gap | None) -> str:
    if gap is None:
        return "Nothing was validated while training."
    text = f"Gap between training and validation: {gap.absolute:.2f} points, {gap.relative:.0%}: "
    if gap.relative > LARGE_GAP:
        return (
            text + "large. Try lora.dropout 0.1 to 0.2 and fit.weight_decay 0.01, or more labels."
        )
    return text + ("moderate." if gap.relative > MODERATE_GAP else "small.")


def _mean_epoch(epochs: Sequence[Epoch]) -> Epoch:
    return Epoch.model_validate(_mean([epoch.model_dump(exclude_unset=True) for epoch in epochs]))


def _mean(values: Sequence[Any]) -> Any:
    """Return the mean of trees of numbers that have one shape, number by number."""
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _mean([value[key] for value in values]) for key in first}
    if first is None:
        return None
    mean = float(np.mean(values))
    return round(mean) if isinstance(first, int) else mean
