"""Runs of newsieve's bank side by side: what is drawn, and when each raises its first alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from newsieve.drift.baseline import BaselineAccumulator
from newsieve.drift.e_detector import FRACTIONS, EDetectorBank
from newsieve.drift.error_streams import Floats
from newsieve.drift.monitor_state import ALERT_AT
from tests.support.drift_field import Change, Field

LARGEST_FRACTION = 0.75  # of what a following bet could stake
FORGETTING = 0.03  # of what was, with each label: about the last thirty count


@dataclass(frozen=True)
class Draw:
    """The rows of all runs: the pool of labels, and indices into it."""

    reference: Floats  # (runs, rows, S)
    pool: Floats  # (N, S)
    picks: npt.NDArray[np.intp]  # (runs, labels)


def draw(on: Field, change: Change, runs: int, rows: int, labels: int, seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    usual = on.values(on.differences, on.tier_differs)
    reference = usual[rng.integers(0, len(usual), (runs, rows))]
    pool = on.values(*change(on, rng))
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

    fractions: Floats = field(default_factory=lambda: FRACTIONS)
    weights: Floats | None = None
    transform: Callable[[Floats], Floats] = np.asarray  # of all streams, (…, S)
    follows: float = 0.0  # share of the evidence from bets that follow the recent mean


class Following:
    """One bet a stream, as large as the recent mean says is best: past labels alone decide it, so
    the guarantee holds (a plug-in of Kelly's bet; Waudby-Smith, Ramdas, 2024)."""

    def __init__(self, limits: Floats, lowest: Floats, variance: Floats) -> None:
        self._limits, self._variance = limits, variance
        self._largest = LARGEST_FRACTION / (limits - lowest)
        self._rise: Floats = np.zeros(limits.shape)  # of late, above the limit
        self.capital: Floats = np.zeros(limits.shape)

    def step(self, x: Floats) -> None:
        rise = x - self._limits
        stake = np.clip(self._rise / self._variance, 0, self._largest)
        self.capital = (self.capital + 1) * (1 + stake * rise)
        self._rise += FORGETTING * (rise - self._rise)


def run_bank(on: Field, drawn: Draw, *, until_found: bool, design: Design | None = None) -> Found:
    """newsieve's bank over all runs side by side."""
    design = design or Design()
    streams = on.streams
    weights = design.weights if design.weights is not None else streams.weights
    reference, pool = design.transform(drawn.reference), design.transform(drawn.pool)
    limits = np.array([_limits(on, rows) for rows in reference])
    runs = len(limits)
    lowest = np.broadcast_to(streams.lowest, limits.shape)
    bank = EDetectorBank(limits, lowest, np.full(limits.shape, np.inf), design.fractions)
    following = Following(limits, lowest, reference.var(axis=1))
    first, alarms = (np.zeros(runs, dtype=np.int64) for _ in range(2))
    blamed = np.zeros(runs, dtype=np.intp)
    for at in range(drawn.picks.shape[1]):
        x = pool[drawn.picks[:, at]]
        bank.step(x, 1.0, at)
        evidence = bank.evidence()
        if design.follows:
            following.step(x)
            evidence = (1 - design.follows) * evidence + design.follows * following.capital
        parts = weights * evidence
        hit = parts.sum(axis=1) >= ALERT_AT
        if hit.any():
            alarms += hit
            new = hit & (first == 0)
            first[new], blamed[new] = at + 1, parts[new].argmax(axis=1)
            bank.reset(hit)
            following.capital[hit] = 0
            if until_found and first.all():
                break
    return Found(first, blamed, alarms)


def _limits(on: Field, rows: Floats) -> Floats:
    tally = BaselineAccumulator(len(on.streams.names))
    for row in rows:
        tally.add(row, 1.0)
    return tally.baseline(on.streams).limits
