"""Sequential test of a student's errors against its baseline, with attribution to streams and a
recovery test.

Three tests share one array of bets. The streams' evidence is their weighted mean. The service level
is an error that no student may exceed: it raises an alert's severity and never makes one. `fail` is
tested apart, because labels are not missing at random. Knows nothing of states, which are in
`stratum_monitor`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.baseline import Baseline
from newsieve.drift.e_detector import RECOVERY_MARGIN, EDetectorBank, RecoveryTest
from newsieve.drift.error_streams import FAIL, ErrorStreams, Floats
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import ALERT_AT, RECOVERING, RESOLVED, StreamPart
from newsieve.drift.recent_labels import FEWEST, RecentEstimates, RecentLabels
from newsieve.drift.stream_alignment import align
from newsieve_schemas.drift import State

SERVICE: Final = "service level"  # the name of its row in the array of bets
SERVICE_LEVEL: Final = 1.2  # mean absolute error, score points
SERVICE_CEILING: Final = 10 * ALERT_AT  # of a bet, so that an error below the level is seen again
ATTRIBUTED: Final = 0.5  # share of the evidence of the fewest streams that recovery tests
NAMED: Final = 0.01  # least share of the evidence of a stream that is named, but for the first
MOST_NAMED: Final = 8


class Evidence(NamedTuple):
    """Evidence at one moment. `shares` has one entry per stream, and one for `fail`."""

    value: float
    shares: Floats

    @property
    def first(self) -> int:
        """The index of the stream with the largest share."""
        return int(self.shares.argmax())


# More than 15 methods: one test, its recovery and its estimates share all of their arrays.
class SequentialTest:
    """Tests all labels since one baseline was made."""

    def __init__(self, streams: ErrorStreams, baseline: Baseline) -> None:
        self.baseline = baseline
        self.labels = 0
        self.window = RecentLabels(streams)
        self._streams = streams
        self._rows = _rows(streams.names)
        self._tested_streams = streams.tested  # in the order of the first rows
        self._count = count = len(streams.names)
        self._fail, self._service = self._rows.index(FAIL.name), self._rows.index(SERVICE)
        self._tested = slice(0, count + 1)  # the streams and `fail`
        self._limits = np.array([*baseline.limits, baseline.fail_limit, SERVICE_LEVEL])
        self._means = np.array([*baseline.means, baseline.fail_rate])
        self._bank = EDetectorBank(
            self._limits,
            np.array([*streams.lowest, FAIL.bounds[0], 0.0]),
            _ceilings(len(self._rows)),
        )
        self._frozen: Evidence | None = None  # the evidence that opened the incident
        self._attributed: list[int] = []
        self._recovery: RecoveryTest | None = None
        self._onset: tuple[int, int] | None = None
        self._opened_at = 0

    def label(self, label: Label) -> None:
        """Test one label, or a failed one. During an incident only recovery is tested."""
        u = self.baseline.bet_share(label.pi)
        x = np.full(len(self._rows), np.nan)
        x[self._fail] = label.values is None
        if label.values is not None:
            x[: self._count] = label.values
            x[self._service] = label.mean_error
        self.labels += 1
        self.window.add(label)
        if self._recovery is not None:
            self._recovery.step(x[self._attributed], u)
        if self._frozen is not None:
            x[self._tested] = np.nan
        self._bank.step(x, u, label.position)
        self.window.set_evidence(self.evidence().value)

    def evidence(self) -> Evidence:
        """Return the evidence of drift, by stream. During an incident it is the evidence that
        opened it."""
        if self._frozen is not None:
            return self._frozen
        capital = self._bank.evidence()
        parts = self._streams.weights * capital[: self._count]
        total, fail = float(parts.sum()), float(capital[self._fail])
        if fail > total:
            return Evidence(fail, np.array([0.0] * self._count + [1.0]))
        return Evidence(total, np.append(parts / (total or 1.0), 0.0))

    def shares(self) -> dict[str, float]:
        """Return each stream's share of the evidence, by the stream's name."""
        shares = self.evidence().shares.tolist()
        return {item.name: share for item, share in zip(self._tested_streams, shares, strict=True)}

    def group_shares(self) -> dict[str, float]:
        """Return shares of the evidence, added up by the streams' groups."""
        shares: dict[str, float] = {}
        for stream, share in zip(
            self._tested_streams, self.evidence().shares.tolist(), strict=True
        ):
            shares[stream.group] = shares.get(stream.group, 0.0) + share
        return shares

    def breaks_service_level(self) -> bool:
        """Return whether the mean absolute error is above the service level for certain."""
        return bool(self._bank.evidence()[self._service] >= ALERT_AT)

    def is_improvement(self) -> bool:
        """Return whether the change is for the better: the error is lower for certain, and most of
        the evidence is of biases that have come nearer to zero."""
        estimates, mae = self.recent_estimates(), self._streams.mae
        if (
            estimates is None
            or estimates.labels < FEWEST
            or estimates.high[mae] >= self._means[mae]
        ):
            return False
        means = self._means[: self._count]
        nearer = self._streams.is_signed & (np.abs(estimates.mean) < np.abs(means))
        return bool(self.evidence().shares[: self._count][nearer].sum() > ATTRIBUTED)

    def restart(self) -> None:
        """Discard all evidence and end an incident; the baseline stays."""
        self._bank.reset(self._tested)
        self._frozen = self._recovery = self._onset = None
        self._attributed = []

    def freeze_evidence(self) -> None:
        """Keep the evidence of this moment, and test for drift no more until `restart`."""
        evidence = self.evidence()
        self._onset = self._bank.onset(evidence.first)
        self._frozen = evidence
        order = np.argsort(-evidence.shares, kind="stable")
        needed = int((np.cumsum(evidence.shares[order]) < ATTRIBUTED).sum()) + 1
        self._attributed = order[:needed].tolist()
        self._bank.reset(self._tested)

    def begin_recovery(self, position: int) -> None:
        """Test from now on whether the streams that the incident is attributed to have
        recovered."""
        self._opened_at, self._recovery = position, self._new_recovery()

    def _new_recovery(self) -> RecoveryTest:
        limits = self._limits[self._attributed]
        highest = np.append(self._streams.highest, FAIL.bounds[1])[self._attributed]
        is_rate = np.array(self._attributed) == self._fail
        # Refusals are rare: a margin of a tenth of all labels would be far above their usual rate.
        margins = np.where(is_rate, np.minimum(RECOVERY_MARGIN, limits), RECOVERY_MARGIN)
        return RecoveryTest(limits, highest, margins)

    def recovery(self) -> float:
        """Return the evidence that the incident is over."""
        return self._recovery.evidence() if self._recovery is not None else 0.0

    def value(self, state: State) -> float:
        """Return the evidence that a state rests on, at most the largest number that JSON can
        hold."""
        is_back = state in (RECOVERING, RESOLVED)
        return min(self.recovery() if is_back else self.evidence().value, sys.float_info.max)

    def onset(self) -> tuple[int, int] | None:
        """Return the earliest and latest likely position at which the rise began: that of the
        incident, or else that of the stream with the largest share."""
        if self._frozen is not None:
            return self._onset
        return self._bank.onset(self.evidence().first) if self.labels else None

    def recent_estimates(self) -> RecentEstimates | None:
        """Return estimates from the labels since the rise began, or since recovery is tested."""
        onset = self.onset()
        since = self._opened_at if self._recovery is not None else onset[0] if onset else None
        return self.window.estimates(since)

    def parts(self, estimates: RecentEstimates | None) -> tuple[StreamPart, ...]:
        """Return the streams that matter, the largest share first."""
        if estimates is None:
            return ()
        shares = self.evidence().shares
        order = np.argsort(-shares, kind="stable")[:MOST_NAMED].tolist()
        return tuple(
            self._part(index, estimates)
            for index in order
            if shares[index] >= NAMED or index == order[0]
        )

    def mean_error(self, estimates: RecentEstimates | None) -> StreamPart | None:
        """Return the mean absolute error's part in the evidence, whatever its share."""
        if estimates is None or estimates.labels == 0:
            return None
        return self._part(self._streams.mae, estimates)

    def _part(self, index: int, estimates: RecentEstimates) -> StreamPart:
        stream, share = self._tested_streams[index], float(self.evidence().shares[index])
        usual = float(self._means[index])
        if index == self._fail:
            rate = (estimates.fail_rate, estimates.fail_low, estimates.fail_high)
            return StreamPart(stream, share, usual, *rate)
        now = (float(array[index]) for array in (estimates.mean, estimates.low, estimates.high))
        return StreamPart(stream, share, usual, *now)

    def examples(self) -> tuple[str, ...]:
        """Return the ids of recent articles that are worst in the stream with the largest
        share."""
        first = self.evidence().first
        return self.window.examples(self._streams.mae if first == self._fail else first)

    def snapshot(self) -> dict[str, Any]:
        """Return all of the test's state as JSON values."""
        frozen = self._frozen
        return {
            "baseline": self.baseline.snapshot(),
            "labels": self.labels,
            "window": self.window.snapshot(),
            "bank": self._bank.snapshot(),
            "frozen": None if frozen is None else [frozen.value, encode_array(frozen.shares)],
            "attributed": [self._rows[index] for index in self._attributed],
            "recovery": None if self._recovery is None else self._recovery.snapshot(),
            "onset": self._onset,
            "opened_at": self._opened_at,
        }

    @classmethod
    def restore(
        cls, streams: ErrorStreams, snapshot: Mapping[str, Any], then: Sequence[str]
    ) -> SequentialTest:
        """Return the test of a snapshot, bit by bit. `then` names the streams it was written with;
        a stream that is new has no baseline and is not tested until there is one."""
        test = cls(streams, Baseline.restore(snapshot["baseline"], then, streams.names))
        test.labels = snapshot["labels"]
        test.window.resume(snapshot["window"])
        before, now = _rows(tuple(then)), test._rows
        test._bank.resume(snapshot["bank"], lambda values: align(values, before, now, 0))
        if snapshot["frozen"] is not None:
            value, shares = snapshot["frozen"][0], decode_array(snapshot["frozen"][1])
            test._frozen = Evidence(value, align(shares, before[:-1], now[:-1], 0))
        test._resume_recovery(snapshot)
        test._onset = None if snapshot["onset"] is None else tuple(snapshot["onset"])
        test._opened_at = snapshot["opened_at"]
        return test

    def _resume_recovery(self, snapshot: Mapping[str, Any]) -> None:
        """Attribute an incident whose streams are all gone to the mean absolute error."""
        then = snapshot["attributed"]
        kept = [name for name in then if name in self._rows]
        now = kept if kept or not then else [self._rows[self._streams.mae]]
        self._attributed = [self._rows.index(name) for name in now]
        if snapshot["recovery"] is not None:
            self._recovery = self._new_recovery()
            self._recovery.resume(snapshot["recovery"], lambda values: align(values, then, now, 0))


@cache
def _ceilings(rows: int) -> Floats:
    """Return the ceiling of each row's bets; the service level is the last row."""
    return np.array([np.inf] * (rows - 1) + [SERVICE_CEILING])


@cache
def _rows(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the rows in the array of bets."""
    return (*names, FAIL.name, SERVICE)
