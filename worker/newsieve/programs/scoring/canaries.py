"""Canaries: fixed texts that the worker's students score again, at start and hourly.

The engine scores them in turn with everything else, so that what is checked is what is at work. At
start, before a worker joins its group, a difference stops it; later it is reported, and the drift
monitor tells people. It costs the loop a look at the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from newsieve.filters.definition import SCORE_MAX
from newsieve.filters.registry import Filter
from newsieve.inference.scorer import FilterScores, Scorer
from newsieve.records.decode import Headers
from newsieve.records.encode import OutRecord, event_id, filter_headers, opening_headers
from newsieve_schemas import events

EVERY_SECONDS: Final = 3_600.0


class CanaryText(NamedTuple):
    """A text, and the scores that the machine that trained the student gave it."""

    id: str
    text: str
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CanarySet:
    """The canaries of one student, and how far their scores may differ."""

    filter: Filter
    student: str
    device: str
    dtype: str
    tolerance: float
    texts: Sequence[CanaryText]


class Report(NamedTuple):
    """The record of one student's canaries, and what it says."""

    filter: str
    difference: float  # the largest
    passed: bool
    record: OutRecord


class Canaries:
    """The canaries of one worker. Owner thread only."""

    def __init__(
        self,
        sets: Sequence[CanarySet],
        scorer: Scorer,
        topic: str,
        source: str,
        now: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`source` is the ce_source, `now` gives the time in ISO 8601."""
        self._sets = sets
        self._scorer = scorer
        self._topic = topic
        self._source = source.encode()
        self._now = now
        self._clock = clock
        self._due_at = clock()
        self._scores: Future[dict[str, FilterScores]] | None = None
        self._reports: list[Report] = []

    def reports(self) -> list[Report]:
        """The reports that are not committed. Scores the canaries when that is due. Raises
        DeviceFailed."""
        if self._scores is not None and self._scores.done():
            scores, self._scores = self._scores.result(), None
            self._reports = [self._report(item, scores[item.filter.name]) for item in self._sets]
        elif self._scores is None and self._clock() >= self._due_at:
            self._due_at = self._clock() + EVERY_SECONDS
            self._submit()
        return self._reports

    def committed(self) -> None:
        """Mark the pending reports as committed."""
        self._reports = []

    def _submit(self) -> None:
        texts: list[str] = []
        wanted = {}
        for item in self._sets:
            wanted[item.filter.name] = range(len(texts), len(texts) + len(item.texts))
            texts += [canary.text for canary in item.texts]
        self._scores = self._scorer.submit(texts, wanted)

    def _report(self, item: CanarySet, scored: FilterScores) -> Report:
        now = self._now()
        rows = zip(item.texts, scored.scores, strict=True)
        names = item.filter.definition.dimension_names
        canaries = [_compared(canary, names, row) for canary, row in rows]
        largest = max(canary["difference"] for canary in canaries)
        facts = {
            "filter": item.filter.name,
            "filter_version": item.filter.version,
            "student": item.student,
            "device": item.device,
            "dtype": item.dtype,
            "tolerance": item.tolerance,
            "passed": largest <= item.tolerance,
            "canaries": canaries,
            "reported_at": now,
        }
        value = orjson.dumps(facts)
        headers: Headers = [
            *opening_headers(events.CANARY_REPORTED, self._source),
            *filter_headers(item.filter.name, item.filter.version),
            ("ce_id", event_id(value.decode())),
            ("ce_time", now.encode()),
        ]
        record = OutRecord(self._topic, item.filter.name.encode(), value, headers)
        return Report(item.filter.name, largest, largest <= item.tolerance, record)


def _compared(
    canary: CanaryText, names: Sequence[str], row: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """The CanaryScore of one text. What has no score is as far off as can be."""
    scores = dict(zip(names, row.tolist(), strict=True)) if np.isfinite(row).all() else {}
    differences = [abs(score - canary.scores[name]) for name, score in scores.items()]
    return {
        "id": canary.id,
        "expected": canary.scores,
        "scores": scores,
        "difference": max(differences, default=SCORE_MAX),
    }
