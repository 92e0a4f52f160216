"""Anchors: frozen articles that are labelled again and again, to tell an oracle's drift from a
student's.

The reference is the mean of a few replicates by the accepted oracle. The distance of one replicate
from the mean of the others is how far a healthy oracle differs from itself; a monitor like that of
a stratum tests that it stays so. One anchor is requested for every three production labels, and
more at once to compare a new oracle or to find a cause.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.baseline import BaselineAccumulator
from newsieve.drift.error_streams import ComparedBatch, ErrorStreams, Floats
from newsieve.drift.label_reader import MONITOR, REFERENCE, AnchorLabel, Label
from newsieve.drift.monitor_state import INCIDENT, WARNING, Identity, MonitorConfig, Transition
from newsieve.drift.stratum_monitor import StratumMonitor
from newsieve_schemas.drift import State

STRATUM: Final = "anchors"
LABELS_PER_ANCHOR: Final = 3
DIGEST_DIGITS: Final = 16
FEWEST_REPLICATES: Final = 2  # of one there is no saying how far it lies from the next


@dataclass(frozen=True, slots=True)
class AnchorSet:
    """The reference of all anchors: (N, R, D) scores in R replicates by one oracle."""

    oracle_key: str
    ids: tuple[str, ...]
    replicates: Floats


class AnchorDifference(NamedTuple):
    """The mean absolute error of an oracle that was not accepted, on the anchors, beside the usual
    one."""

    oracle_key: str
    anchors: int
    error: float
    usual: float


class Anchors:
    """One filter's anchors, and what their labels say of the oracle."""

    def __init__(
        self, filter_name: str, streams: ErrorStreams, reference: AnchorSet, reminder: int | None
    ) -> None:
        self.oracle_key = reference.oracle_key
        self.size = len(reference.ids)
        self._streams = streams
        self._identity = Identity(filter_name, "", STRATUM)
        self._ids = reference.ids
        self._index = {name: index for index, name in enumerate(reference.ids)}
        self._means: Floats = reference.replicates.mean(axis=1)
        self._digest = _digest(reference)
        self._config = MonitorConfig(reminder=reminder, cause="oracle_drift")
        self._monitor = StratumMonitor(self._identity, streams, self._config)
        self._usual = self._learn(reference.replicates)
        self._labels_until_next = LABELS_PER_ANCHOR
        self._cursor = 0
        self._other: tuple[str, BaselineAccumulator] | None = None

    @property
    def state(self) -> State:
        return self._monitor.state.state

    @property
    def is_alarmed(self) -> bool:
        """Whether the accepted oracle no longer labels the anchors as it did."""
        return self._monitor.state.state in (WARNING, *INCIDENT)

    def production_label(self) -> list[str]:
        """Count one more production label. Returns the ids of the anchors to be labelled now."""
        self._labels_until_next -= 1
        if self._labels_until_next:
            return []
        self._labels_until_next = LABELS_PER_ANCHOR
        return self.next(1)

    def next(self, count: int) -> list[str]:
        """Return the ids of the next anchors, round and round."""
        ids = [self._ids[(self._cursor + step) % self.size] for step in range(count)]
        self._cursor = (self._cursor + count) % self.size
        return ids

    def label(self, label: AnchorLabel) -> Transition | None:
        """Test an anchor's label. A label by another oracle is compared and not tested."""
        index = self._index.get(label.id)
        if index is None:
            return None
        compared = self._compared(index, label.scores) if label.scores is not None else None
        if label.oracle_key == self.oracle_key:
            return self._monitor.label(_label(label, MONITOR, compared))
        if self._other is None or self._other[0] != label.oracle_key:
            self._other = (label.oracle_key, BaselineAccumulator(len(self._streams.names)))
        self._other[1].add(None if compared is None else compared.values[0], 1.0)
        return None

    def anchor_difference(self) -> AnchorDifference | None:
        """Return how the latest other oracle differs from the accepted one."""
        if self._other is None or not self._other[1].labels:
            return None
        key, accumulator = self._other
        error = accumulator.baseline(self._streams).means[self._streams.mae]
        return AnchorDifference(key, accumulator.labels, float(error), self._usual)

    def as_reminder(self, position: int) -> Transition:
        """Return the state of the oracle's own monitor as a reminder of it."""
        return self._monitor.as_reminder(position)

    def acknowledge(self) -> None:
        self._monitor.acknowledge()

    def tick(self, now: int) -> Transition | None:
        return self._monitor.tick(now)

    def _learn(self, replicates: Floats) -> float:
        """Make the monitor's baseline of the distances of each replicate from the mean of the
        others. Returns their mean absolute error."""
        count = replicates.shape[1]
        no_rules_met = [()] * len(replicates)
        compared = []
        for held_out in range(count):
            others = np.delete(replicates, held_out, axis=1).mean(axis=1)
            compared.append(self._streams.compare(others, replicates[:, held_out], no_rules_met))
        values = np.mean([item.values for item in compared], axis=0)
        for name, value in zip(self._ids, values, strict=True):
            self._monitor.reference(
                Label(
                    position=0,
                    id=name,
                    student_version="",
                    stratum=STRATUM,
                    purpose=REFERENCE,
                    pi=1.0,
                    oracle_key=self.oracle_key,
                    policy="",
                    values=value,
                    differences=None,
                )
            )
        return float(values[:, self._streams.mae].mean())

    def _compared(self, index: int, scores: list[float]) -> ComparedBatch:
        """Compare one anchor's reference with these scores."""
        oracle = np.array([scores], dtype=np.float64)
        return self._streams.compare(self._means[index : index + 1], oracle, [()])

    def snapshot(self) -> dict[str, Any]:
        other = self._other
        return {
            "reference": self._digest,
            "monitor": self._monitor.snapshot(),
            "labels_until_next": self._labels_until_next,
            "cursor": self._cursor,
            "other": None if other is None else [other[0], other[1].snapshot()],
        }

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot, unless the reference is another one by now."""
        if snapshot["reference"] != self._digest:
            return
        self._monitor = StratumMonitor.restore(
            self._identity, self._streams, self._config, snapshot["monitor"]
        )
        self._labels_until_next, self._cursor = snapshot["labels_until_next"], snapshot["cursor"]
        if snapshot["other"] is not None:
            self._other = (
                snapshot["other"][0],
                BaselineAccumulator.restore(
                    snapshot["other"][1], snapshot["monitor"]["streams"], self._streams.names
                ),
            )


def _label(label: AnchorLabel, purpose: str, compared: ComparedBatch | None) -> Label:
    """Return an anchor's label as the monitor tests it; `compared` is None where the oracle
    failed."""
    return Label(
        position=label.position,
        id=label.id,
        student_version="",
        stratum=STRATUM,
        purpose=purpose,
        pi=1.0,
        oracle_key=label.oracle_key,
        policy="",
        values=None if compared is None else compared.values[0],
        differences=None if compared is None else compared.differences[0],
        tier_differs=compared is not None and bool(compared.tier_differs[0]),
        mean_error=math.nan if compared is None else float(compared.mean_errors[0]),
    )


def _digest(reference: AnchorSet) -> str:
    """Return a digest by which two references can be told apart."""
    name = "\n".join([reference.oracle_key, *reference.ids]).encode()
    return hashlib.sha256(name + reference.replicates.tobytes()).hexdigest()[:DIGEST_DIGITS]
