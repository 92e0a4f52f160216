"""Betting e-detectors: Shiryaev–Roberts mixtures over streams and bets, and the reverse test.

Each row of a bank is a stream. Each column is a bet, of a size of its own, that the stream's mean
is above its limit m0. With every label a new unit is put into each bet, and then its capital grows
by the factor 1 + λ·u·(x − m0):

    M ← (M + 1) · (1 + λ · u · (x − m0)),    λ = f / (m0 − lowest)

While the mean is at or below m0 the factor is 1 on average at most, so M − n is a supermartingale:
in n labels the mean of M over any fixed weights reaches c at most n/c times on average, whatever
depends on what, however often somebody looks (Shin, Ramdas, Rinaldo: E-detectors, 2022). Knows
positions of labels, but not what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.drift.error_streams import Floats

Positions = npt.NDArray[np.int64]

BETS: Final = 8
# Of the largest bet that cannot lose everything: small ones find small drifts, large ones big.
FRACTIONS: Final[Floats] = np.geomspace(0.02, 0.75, BETS)
RECOVERY_FRACTIONS: Final[Floats] = np.geomspace(0.2, 0.75, BETS)
RECOVERY_MARGIN: Final = 0.10  # score points above m0: a smaller drift counts as none
RECOVERY_CLIP: Final = 4.0  # score points; a single outlier must not cost a recovery its bet
ROOM_TO_BET: Final = 1.0  # score points, between the margin and the clip
RECOVERY_CEILING: Final = 200_000.0  # of a bet: a row may recover first, but not for good
LIKELY: Final = 2.0  # log units below the strongest bet: its onset is as likely


Align = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


def _as_it_is(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values


class EDetectorBank:
    """A bank of R rows of bets. Leading dimensions, if any, are independent banks side by side."""

    def __init__(
        self, limits: Floats, lowest: Floats, ceilings: Floats, fractions: Floats = FRACTIONS
    ) -> None:
        """`limits`, `lowest`, `ceilings` are (…, R). A row's capital stops at its ceiling, so that
        what has long been certain can also end. A row whose limit is NaN is not tested."""
        self._limits = limits
        self._stakes = fractions / (limits - lowest)[..., None]
        self._ceilings = ceilings[..., None]
        self._capital: Floats = np.zeros(self._stakes.shape)
        # For people, not for the test: half the digits are half the snapshot.
        self._excursion = np.zeros(self._stakes.shape, dtype=np.float32)
        self._since: Positions = np.zeros(self._stakes.shape, dtype=np.int64)

    def step(self, x: Floats, u: float | Floats, position: int) -> None:
        """Bet on one label: (…, R) values, NaN where a row has none and keeps its capital.

        `u` (…, 1) scales its bets, `position` is the label's.
        """
        growth = self._stakes * (u * (x - self._limits))[..., None]
        growth += 1
        tested = ~np.isnan(x - self._limits)
        growth[~tested] = 1
        self._capital += tested[..., None]
        self._capital *= growth
        np.minimum(self._capital, self._ceilings, out=self._capital)
        self._track_onset(growth, tested, position)

    def evidence(self) -> Floats:
        """Return e per row, (…, R): the mean of its bets' capital."""
        evidence: Floats = self._capital.sum(axis=-1) / self._capital.shape[-1]
        return evidence

    def reset(self, which: slice | npt.NDArray[np.bool_]) -> None:
        """Empty the rows, or whole banks, that this index of (…, R) selects."""
        self._capital[which] = 0
        self._excursion[which] = 0

    def onset(self, row: int) -> tuple[int, int]:
        """Return the earliest and latest likely position at which a row's rise began.

        A CUSUM of the same bets runs beside them. It last stood at its floor where the rise began,
        by that bet (Page, 1954).
        """
        excursion = self._excursion[row]
        since = self._since[row][excursion >= excursion.max() - LIKELY]
        return int(since.min()), int(since.max())

    def _track_onset(self, growth: Floats, tested: npt.NDArray[np.bool_], position: int) -> None:
        begins = (self._excursion <= 0) & tested[..., None]
        self._since[begins] = position
        np.maximum(self._excursion, 0, out=self._excursion)
        self._excursion += np.log(growth)

    def snapshot(self) -> dict[str, Any]:
        return {
            "capital": encode_array(self._capital),
            "excursion": encode_array(self._excursion),
            "since": encode_array(self._since),
        }

    def resume(self, snapshot: Mapping[str, Any], align: Align = _as_it_is) -> None:
        """Continue from a snapshot. `align` moves its (rows, bets) to the rows of this bank."""

        def read(name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
            values = decode_array(snapshot[name], dtype).reshape(-1, self._capital.shape[-1])
            return align(values).reshape(self._capital.shape)

        self._capital = read("capital", np.float64)
        self._excursion = read("excursion", np.float32)
        self._since = read("since", np.int64)


class RecoveryTest:
    """The reverse test: bets that the means of some rows are below m0 + a margin again.

    All rows must have recovered: an incident of a bias is not over because the error is small.
    """

    def __init__(self, limits: Floats, highest: Floats, margins: Floats) -> None:
        """`limits`, `highest` and `margins` are (R,), one entry per row that is to recover."""
        self._bounds = limits + margins
        clip = np.minimum(highest, RECOVERY_CLIP)
        self._clip = np.where(clip - self._bounds >= ROOM_TO_BET, clip, highest)
        room = (self._clip - self._bounds)[:, None]
        self._stakes = np.divide(
            RECOVERY_FRACTIONS, room, out=np.zeros((len(limits), BETS)), where=room > 0
        )
        self._capital: Floats = np.zeros(self._stakes.shape)

    def step(self, x: Floats, u: float) -> None:
        """Bet on one label's (R,) values; a row whose value is NaN keeps its capital."""
        tested = ~np.isnan(x)
        payoff = u * (self._bounds - np.minimum(x, self._clip))
        growth = np.where(tested[:, None], self._stakes * payoff[:, None] + 1, 1)
        self._capital += tested[:, None]
        self._capital *= growth
        np.minimum(self._capital, RECOVERY_CEILING, out=self._capital)

    def evidence(self) -> float:
        """Return the evidence that all rows have recovered, which is the least of theirs."""
        return float((self._capital.sum(axis=1) / BETS).min())

    def snapshot(self) -> str:
        return encode_array(self._capital)

    def resume(self, snapshot: str, align: Align = _as_it_is) -> None:
        """Continue from a snapshot. `align` moves its (rows, bets) to the rows of this test."""
        self._capital = align(decode_array(snapshot).reshape(-1, BETS)).reshape(self._capital.shape)
