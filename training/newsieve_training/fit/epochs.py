"""Reading a training history: the epoch that was shipped, means over folds, the gap. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

FINAL: Final = "final"
# Relative gaps between training and validation error, as a share of the training error.
MODERATE_GAP: Final = 0.15
LARGE_GAP: Final = 0.30

Epochs = Sequence[Mapping[str, Any]]
History = Mapping[str, Epochs]


def without_seconds(history: History) -> dict[str, Any]:
    """What a repetition repeats."""
    return {
        name: [{key: value for key, value in entry.items() if key != "seconds"} for entry in epochs]
        for name, epochs in history.items()
    }


def best_epoch(history: History) -> int | None:
    """The epoch with the least validation error, which leaves the run; None without one."""
    judged = [entry for entry in history[FINAL] if entry["validation"]]
    if not judged:
        return None
    epoch: int = min(judged, key=lambda entry: entry["validation"]["mae"])["epoch"]
    return epoch


def mean_history(history: History) -> list[dict[str, Any]]:
    """The epochs of the student that ships; with cross-validation means over the folds."""
    folds = [epochs for name, epochs in history.items() if name != FINAL]
    return [_mean(entries) for entries in zip(*(folds or [history[FINAL]]), strict=True)]


def shipped_entry(history: History) -> dict[str, Any]:
    """The entry of the epoch that ships, its validation after the head was centred, if it was;
    with cross-validation the last one's means."""
    epochs, best = mean_history(history), best_epoch(history)
    entry = epochs[-1] if best is None else epochs[best - 1]
    return {**entry, "validation": entry.get("centred", entry["validation"])}


class Gap(NamedTuple):
    """Validation error minus training error, and that as a share of the training error."""

    absolute: float
    relative: float


def gap_of(entry: Mapping[str, Any]) -> Gap | None:
    if not entry["validation"]:
        return None
    train, validation = entry["train"]["mae"], entry["validation"]["mae"]
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


def _mean(entries: Sequence[Any]) -> Any:
    """Entry by entry of like-shaped trees of numbers."""
    first = entries[0]
    if isinstance(first, Mapping):
        return {key: _mean([entry[key] for entry in entries]) for key in first}
    if first is None:
        return None
    found = float(np.mean(entries))
    return round(found) if isinstance(first, int) else found
