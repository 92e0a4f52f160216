"""Labels of articles that speak to a model: counted with their mean error, and never tested.

Their writers choose when they come and try to choose what the oracle says of them, so that an alarm
would be theirs to raise, and one on other articles theirs to hide: they share nothing with the
monitors, which know nothing of them. Of the few students and oracles that were labelled last.
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

KEPT: Final = 4  # students and oracles: one of each is at work, two while another takes over
REMEMBERED: Final = 512  # labels, so that none counts twice


class SuspectReading(NamedTuple):
    """Suspect labels of one student under one oracle. The error is a mean over all labels, weighted
    by 1/pi; its interval is of 95 %, None where there are too few labels."""

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
        self._tallies: OrderedDict[tuple[str, str], tuple[BaselineAccumulator, int]] = OrderedDict()

    def add(self, label: Label) -> None:
        """A label or failure, once."""
        if label.id is not None and not self._seen.add(label):
            return
        self.labels += 1
        key = self._key(label)
        tally, last_label_at = self._tallies.pop(key, (BaselineAccumulator(1), label.at))
        tally.add(None if label.values is None else np.array([label.mean_error]), label.pi)
        self._tallies[key] = tally, max(last_label_at, label.at)
        if len(self._tallies) > KEPT:
            self._tallies.popitem(last=False)

    def readings(self) -> list[SuspectReading]:
        """The one that was labelled last comes last."""
        return [_reading(key, *found) for key, found in self._tallies.items()]

    def snapshot(self) -> dict[str, Any]:
        return {
            "seen": self._seen.snapshot(),
            "errors": [[*key, tally.snapshot(), at] for key, (tally, at) in self._tallies.items()],
        }

    def resume(self, facts: Mapping[str, Any]) -> None:
        """Go on where a snapshot was taken."""
        self._seen.resume(facts["seen"])
        self._tallies = OrderedDict(
            ((student, oracle), (BaselineAccumulator.restore(tally), at))
            for student, oracle, tally, at in facts["errors"]
        )

    def _key(self, label: Label) -> tuple[str, str]:
        """An answer that was none may not say whose it is: the last one's then."""
        if label.values is None:
            for student, oracle in reversed(self._tallies):
                if student == label.student_version:
                    return student, oracle
        return label.student_version, label.oracle_key or ""


def _reading(
    key: tuple[str, str], tally: BaselineAccumulator, last_label_at: int
) -> SuspectReading:
    counts = (tally.labels, tally.failures)
    if tally.labels == 0:
        return SuspectReading(*key, *counts, None, None, last_label_at)
    mean, error = (float(values[0]) for values in tally.estimate())
    around = TWO_SIDED_95 * error
    interval = (max(mean - around, 0.0), mean + around) if tally.labels >= FEWEST else None
    return SuspectReading(*key, *counts, mean, interval, last_label_at)
