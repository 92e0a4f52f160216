"""Labels of articles that speak to a model: counted with their mean error, and never tested.

Their writers choose when they come, and try to choose what the oracle says of them. If they were
tested, these writers could raise an alarm, or hide one on other articles. So they share nothing
with the monitors. Errors are kept for the few students and oracles that were labelled last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.baseline import TWO_SIDED_95, BaselineAccumulator
from newsieve.drift.dedup import LabelDeduplicator
from newsieve.drift.label_reader import Label
from newsieve.drift.recent_labels import FEWEST

KEPT: Final = 4  # pairs of student and oracle: two of each while others take over
REMEMBERED: Final = 512  # labels, of which none counts twice


class SuspectStatus(NamedTuple):
    """The suspect labels of one student under one oracle. The error is a mean over all labels,
    weighted by 1/π; its 95 % interval is None where there are too few labels."""

    student_version: str
    oracle_key: str
    labels: int
    failures: int
    error: float | None
    interval: tuple[float, float] | None
    last_label_at: int


class SuspectLabels:
    """Mean errors of suspect labels by student and oracle. `labels` counts all that were added."""

    def __init__(self) -> None:
        self.labels = 0
        self._seen = LabelDeduplicator(REMEMBERED)
        self._errors: OrderedDict[tuple[str, str], tuple[BaselineAccumulator, int]] = OrderedDict()

    def add(self, label: Label) -> None:
        """Add a label or a failed one, each once."""
        if label.id is not None and not self._seen.add(label):
            return
        self.labels += 1
        key = self._key(label)
        accumulator, last_label_at = self._errors.pop(key, (BaselineAccumulator(1), label.position))
        accumulator.add(None if label.values is None else np.array([label.mean_error]), label.pi)
        self._errors[key] = accumulator, max(last_label_at, label.position)
        if len(self._errors) > KEPT:
            self._errors.popitem(last=False)

    def statuses(self) -> list[SuspectStatus]:
        """Return the status of each student and oracle; the one that was labelled last comes
        last."""
        return [_status(key, *error) for key, error in self._errors.items()]

    def snapshot(self) -> dict[str, Any]:
        return {
            "seen": self._seen.snapshot(),
            "errors": [
                [*key, accumulator.snapshot(), last_label_at]
                for key, (accumulator, last_label_at) in self._errors.items()
            ],
        }

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot."""
        self._seen.resume(snapshot["seen"])
        self._errors = OrderedDict(
            ((student, oracle), (BaselineAccumulator.restore(accumulator), last_label_at))
            for student, oracle, accumulator, last_label_at in snapshot["errors"]
        )

    def _key(self, label: Label) -> tuple[str, str]:
        """Return the student and oracle of a label. A failed one may not say whose it is: then it
        is the oracle's that labelled the student last."""
        if label.values is None:
            for student, oracle in reversed(self._errors):
                if student == label.student_version:
                    return student, oracle
        return label.student_version, label.oracle_key or ""


def _status(
    key: tuple[str, str], accumulator: BaselineAccumulator, last_label_at: int
) -> SuspectStatus:
    error = interval = None
    if accumulator.labels:
        mean, standard_error = (float(values[0]) for values in accumulator.estimate())
        error, around = mean, TWO_SIDED_95 * standard_error
        if accumulator.labels >= FEWEST:
            interval = (max(mean - around, 0.0), mean + around)
    student_version, oracle_key = key
    return SuspectStatus(
        student_version=student_version,
        oracle_key=oracle_key,
        labels=accumulator.labels,
        failures=accumulator.failures,
        error=error,
        interval=interval,
        last_label_at=last_label_at,
    )
