"""A student on trial against its baseline: the banks, their blame, and the way back.

Three banks share one array of bets. The streams' evidence is their weighted mean. `service` is
the service level, an error that no student may exceed: it raises an alert's severity and never
makes one. `fail` is a bank of its own: which labels go missing is not by chance. Knows nothing of
states; `monitor` does.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.baseline import Baseline
from newsieve.drift.e_detector import RECOVERY_MARGIN, EDetectorBank, RecoveryTest
from newsieve.drift.error_streams import MAE, ErrorStreams, Floats
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import ALERT_AT, RECOVERING, RESOLVED, StreamPart
from newsieve.drift.recent_labels import FEWEST, Recent, Window
from newsieve_schemas.drift import State

FAIL: Final = "fail"
SERVICE_LEVEL: Final = 1.2  # mean absolute error, score points
SERVICE_CEILING: Final = 10 * ALERT_AT  # of a bet: a level that is kept again is seen to be
BLAMED: Final = 0.5  # of the evidence: the fewest streams that make up as much are to blame
NAMED: Final = 0.01  # of the evidence: streams with less are not worth naming, but for the first
MOST_NAMED: Final = 8


class Evidence(NamedTuple):
    """Evidence at one moment. `shares` has one entry per stream, and one for `fail`."""

    value: float
    shares: Floats

    @property
    def first(self) -> int:
        """The stream with most of it."""
        return int(self.shares.argmax())


class SequentialTest:
    """One baseline and all that was labelled since."""

    def __init__(self, streams: ErrorStreams, baseline: Baseline) -> None:
        self.baseline = baseline
        self.labels = 0
        self.window = Window(streams)
        self._streams = streams
        self._count = count = len(streams.names)
        self._names = (*streams.names, FAIL)
        self._tested = slice(0, count + 1)  # the streams and `fail`; the service level is last
        self._limits = np.array([*baseline.limits, baseline.fail_limit])
        self._means = np.array([*baseline.means, baseline.fail_rate])
        self._bank = EDetectorBank(
            np.append(self._limits, SERVICE_LEVEL),
            np.array([*streams.lowest, 0.0, 0.0]),
            np.array([np.inf] * (count + 1) + [SERVICE_CEILING]),
        )
        self._held: Evidence | None = None  # what an incident was opened with
        self._blamed: list[int] = []
        self._recovery: RecoveryTest | None = None
        self._onset: tuple[int, int] | None = None
        self._opened_at = 0

    def label(self, label: Label) -> None:
        """One label, or failure. In an incident only recovery is tested."""
        u = self.baseline.bet_share(label.pi)
        x = np.full(self._count + 2, np.nan)
        if label.values is None:
            x[self._count] = 1
        else:
            x[: self._count] = label.values
            x[self._count] = 0
            x[-1] = label.values[0]
        self.labels += 1
        self.window.add(label)
        if self._recovery is not None:
            self._recovery.step(x[self._blamed], u)
        if self._held is not None:
            x[self._tested] = np.nan
        self._bank.step(x, u, label.at)
        self.window.note(self.verdict().value)

    def verdict(self) -> Evidence:
        """The evidence of drift, and whose it is. In an incident, that which opened it."""
        if self._held is not None:
            return self._held
        capital = self._bank.evidence()
        parts = self._streams.weights * capital[: self._count]
        total, fail = float(parts.sum()), float(capital[self._count])
        if fail > total:
            return Evidence(fail, np.array([0.0] * self._count + [1.0]))
        return Evidence(total, np.append(parts / (total or 1.0), 0.0))

    def shares(self) -> dict[str, float]:
        """Whose the evidence is, by stream."""
        return dict(zip(self._names, self.verdict().shares.tolist(), strict=True))

    def breaks_service_level(self) -> bool:
        return bool(self._bank.evidence()[-1] >= ALERT_AT)

    def is_improvement(self) -> bool:
        """Whether what changed is for the better: the error is lower for certain, and most of the
        evidence is of biases that have come nearer to zero."""
        verdict = self.verdict()
        recent = self.recent()
        if recent is None or recent.labels < FEWEST or recent.high[0] >= self._means[0]:
            return False
        means = self._means[: self._count]
        nearer = self._streams.is_signed & (np.abs(recent.mean) < np.abs(means))
        return bool(verdict.shares[: self._count][nearer].sum() > BLAMED)

    def restart(self) -> None:
        """Nothing has been seen, and no incident is open."""
        self._bank.reset(self._tested)
        self._held = self._recovery = self._onset = None
        self._blamed = []

    def hold(self) -> None:
        """Keep the evidence of this moment, start again, test no more until `restart`."""
        verdict = self.verdict()
        self._onset = self._bank.onset(verdict.first)
        self._held = verdict
        order = np.argsort(-verdict.shares, kind="stable")
        needed = int((np.cumsum(verdict.shares[order]) < BLAMED).sum()) + 1
        self._blamed = order[:needed].tolist()
        self._bank.reset(self._tested)

    def begin_recovery(self, at: int) -> None:
        """From now on, see whether the blamed streams come back."""
        self._opened_at, self._recovery = at, self._new_recovery()

    def _new_recovery(self) -> RecoveryTest:
        limits = self._limits[self._blamed]
        highest = np.append(self._streams.highest, 1.0)[self._blamed]
        is_rate = np.array(self._blamed) == self._count
        # Refusals are rare: a tenth of all labels more would be no margin, but another world.
        margins = np.where(is_rate, np.minimum(RECOVERY_MARGIN, limits), RECOVERY_MARGIN)
        return RecoveryTest(limits, highest, margins)

    def recovery(self) -> float:
        """The evidence that the incident is over."""
        return self._recovery.evidence() if self._recovery is not None else 0.0

    def value(self, state: State) -> float:
        """The evidence that a state rests on, as JSON can say it."""
        is_back = state in (RECOVERING, RESOLVED)
        return min(self.recovery() if is_back else self.verdict().value, sys.float_info.max)

    def onset(self) -> tuple[int, int] | None:
        """Where the rise probably began: the incident's, or that of the strongest stream."""
        if self._held is not None:
            return self._onset
        return self._bank.onset(self.verdict().first) if self.labels else None

    def recent(self) -> Recent | None:
        """Estimates since the rise began; once recovery is tested, since then."""
        onset = self.onset()
        since = self._opened_at if self._recovery is not None else onset[0] if onset else None
        return self.window.recent(since)

    def parts(self, recent: Recent | None) -> tuple[StreamPart, ...]:
        """The streams that matter, largest share first."""
        if recent is None:
            return ()
        shares = self.verdict().shares
        order = np.argsort(-shares, kind="stable")[:MOST_NAMED].tolist()
        found = [
            self.part(stream, float(shares[stream]), recent)
            for stream in order
            if shares[stream] >= NAMED or stream == order[0]
        ]
        return tuple(found)

    def mean_error(self, recent: Recent | None) -> StreamPart | None:
        """Of the stream that people know, whatever its share."""
        if recent is None or recent.labels == 0:
            return None
        return self.part(self._streams.names.index(MAE), float(self.verdict().shares[0]), recent)

    def part(self, stream: int, share: float, recent: Recent) -> StreamPart:
        name, usual = self._names[stream], float(self._means[stream])
        if name == FAIL:
            return StreamPart(name, share, usual, *recent[-3:])
        now = (float(array[stream]) for array in (recent.mean, recent.low, recent.high))
        return StreamPart(name, share, usual, *now)

    def examples(self) -> tuple[str, ...]:
        """Articles that show it: the worst of late, in the stream with most of the evidence."""
        return self.window.examples(min(self.verdict().first, self._count - 1))

    def snapshot(self) -> dict[str, Any]:
        held = self._held
        return {
            "baseline": self.baseline.snapshot(),
            "labels": self.labels,
            "window": self.window.snapshot(),
            "bank": self._bank.snapshot(),
            "held": None if held is None else [held.value, encode_array(held.shares)],
            "blamed": self._blamed,
            "recovery": None if self._recovery is None else self._recovery.snapshot(),
            "onset": self._onset,
            "opened_at": self._opened_at,
        }

    @classmethod
    def restore(cls, streams: ErrorStreams, facts: Mapping[str, Any]) -> SequentialTest:
        trial = cls(streams, Baseline.restore(facts["baseline"]))
        trial.labels = facts["labels"]
        trial.window.resume(facts["window"])
        trial._bank.resume(facts["bank"])
        if facts["held"] is not None:
            trial._held = Evidence(facts["held"][0], decode_array(facts["held"][1]))
        trial._blamed = list(facts["blamed"])
        if facts["recovery"] is not None:
            trial._recovery = trial._new_recovery()
            trial._recovery.resume(facts["recovery"])
        trial._onset = None if facts["onset"] is None else (facts["onset"][0], facts["onset"][1])
        trial._opened_at = facts["opened_at"]
        return trial
