"""Runs of newsieve's bank side by side: what is drawn, and when each raises its first alarm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.drift_field import Change, Field
from worker.drift.baseline import Tally
from worker.drift.detector import FRACTIONS, Bank
from worker.drift.states import ALERT_AT
from worker.drift.streams import Floats


@dataclass(frozen=True)
class Draw:
    """The rows of all runs: the pool of labels, and indices into it."""

    reference: Floats  # (runs, rows, S)
    pool: Floats  # (N, S)
    picks: npt.NDArray[np.intp]  # (runs, labels)


def draw(field: Field, change: Change, runs: int, rows: int, labels: int, seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    usual = field.values(field.differences, field.tier_differs)
    reference = usual[rng.integers(0, len(usual), (runs, rows))]
    pool = field.values(*change(field, rng))
    return Draw(reference, pool, rng.integers(0, len(pool), (runs, labels)))


@dataclass(frozen=True)
class Found:
    """For each run: its first alarm (0: none), the stream blamed for it, and all alarms."""

    first: npt.NDArray[np.int64]
    blamed: npt.NDArray[np.intp]
    alarms: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """A bank that might be better."""

    fractions: Floats | None = None
    weights: Floats | None = None


def run_bank(
    field: Field, drawn: Draw, *, until_found: bool, design: Design | None = None
) -> Found:
    """newsieve's bank over all runs side by side."""
    design = design or Design()
    streams = field.streams
    weights = design.weights if design.weights is not None else streams.weights
    fractions = design.fractions if design.fractions is not None else FRACTIONS
    limits = np.array([_limits(field, rows) for rows in drawn.reference])
    runs = len(limits)
    endless = np.full(limits.shape, np.inf)
    bank = Bank(limits, np.broadcast_to(streams.lowest, limits.shape), endless, fractions)
    first, alarms = (np.zeros(runs, dtype=np.int64) for _ in range(2))
    blamed = np.zeros(runs, dtype=np.intp)
    for at in range(drawn.picks.shape[1]):
        bank.step(drawn.pool[drawn.picks[:, at]], 1.0, at)
        parts = weights * bank.evidence()
        hit = parts.sum(axis=1) >= ALERT_AT
        if hit.any():
            alarms += hit
            new = hit & (first == 0)
            first[new], blamed[new] = at + 1, parts[new].argmax(axis=1)
            bank.reset(hit)
            if until_found and first.all():
                break
    return Found(first, blamed, alarms)


def _limits(field: Field, rows: Floats) -> Floats:
    tally = Tally(len(field.streams.names))
    for row in rows:
        tally.add(row, 1.0)
    return tally.baseline(field.streams).limits
