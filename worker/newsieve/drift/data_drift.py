"""Data drift: how far the articles, and what the student says of them, have moved from a reference.

Every scored article is counted in a sketch of its hour. An hour's sketch is compared with a
reference, which is the student's first day. An effect is judged by its size, never by its
significance, since at this volume everything is significant. An effect that is large in two windows
running is a shift. A shift informs and helps to find a cause; only labels page somebody. Articles
that speak to a model count like all others: if they were left out, anybody could hide what he sends
behind a phrase.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from newsieve.drift.array_codec import decode_array, encode_array
from newsieve.filters.definition import SCORE_MAX

Counts = npt.NDArray[np.int64]

WINDOW_MILLISECONDS: Final = 60 * 60 * 1_000
FEWEST: Final = 1_000  # articles of a window, which a quiet hour's window waits for
REFERENCE_MILLISECONDS: Final = 24 * WINDOW_MILLISECONDS  # a day has its own rhythm
SCORE_BINS: Final = 100  # a tenth of a point: finer than any effect that counts
QUANTILE_BINS: Final = 10  # of the reference, for the population stability index
LENGTH_BINS: Final = 16  # powers of two of tokens
NAME_BINS: Final = 32  # languages and sources, by hash: their number knows no bound
# Effects that count. PSI is net of what it is on average when nothing has changed.
WASSERSTEIN: Final = 0.3  # score points
STABILITY: Final = 0.25  # PSI; the usual limit of a major change
SHARE: Final = 0.1  # of all articles
HALF_AN_ARTICLE: Final = 0.5  # added to every bin, so that an empty one has a logarithm


class ScoreSample(NamedTuple):
    """What a sketch counts of a scored record. `scores` is None when content rules blocked the
    article."""

    timestamp_ms: int
    scores: Sequence[float] | None
    tier: str | None
    tokens: int
    is_truncated: bool
    language: str | None
    source: str | None


class EffectSize(NamedTuple):
    """The size of one change, and the size from which on it counts."""

    name: str
    size: float
    limit: float


class Shares(NamedTuple):
    """The share of each tier among scored articles: the usual one, which is not known before the
    student's first day is over, and the one in the present window."""

    usual: dict[str, float] | None
    now: dict[str, float]
    articles: int  # of the window

    def rows(self) -> list[tuple[str, float, float | None]]:
        """Return each tier with its share in the present window and its usual one."""
        usual = self.usual or {}
        return [(tier, share, usual.get(tier)) for tier, share in self.now.items()]


class DistributionSketch:
    """Counts of articles by score, tier, length, language and source. Two sketches of one filter
    can be compared."""

    def __init__(self, dimensions: Sequence[str], tiers: Sequence[str]) -> None:
        self._dimensions = dimensions
        self._tiers = {name: index for index, name in enumerate(tiers)}
        self.articles = 0
        self._blocked = self._truncated = 0
        self._scores: Counts = np.zeros((len(dimensions), SCORE_BINS), dtype=np.int64)
        self._tier: Counts = np.zeros(len(tiers), dtype=np.int64)
        self._names: dict[str, Counts] = {
            "length": np.zeros(LENGTH_BINS, dtype=np.int64),
            "language": np.zeros(NAME_BINS, dtype=np.int64),
            "source": np.zeros(NAME_BINS, dtype=np.int64),
        }

    @property
    def scored(self) -> int:
        return self.articles - self._blocked

    def add(self, article: ScoreSample) -> None:
        self.articles += 1
        self._names["language"][_bin(article.language)] += 1
        self._names["source"][_bin(article.source)] += 1
        if article.scores is None:
            self._blocked += 1
            return
        self._truncated += article.is_truncated
        self._names["length"][min(article.tokens.bit_length(), LENGTH_BINS - 1)] += 1
        if article.tier in self._tiers:
            self._tier[self._tiers[article.tier]] += 1
        for row, score in zip(self._scores, article.scores, strict=True):
            row[min(int(score * SCORE_BINS / SCORE_MAX), SCORE_BINS - 1)] += 1

    def shares(self) -> dict[str, float]:
        """Return the share of each tier among the scored articles."""
        counts = self._tier.tolist()
        return {name: counts[index] / max(self.scored, 1) for name, index in self._tiers.items()}

    def effects(self, reference: DistributionSketch) -> list[EffectSize]:
        """Return the size of every change since the reference that is measured."""
        effects = []
        for index, name in enumerate(self._dimensions):
            now, then = self._scores[index], reference._scores[index]
            effects.append(EffectSize(f"wasserstein:{name}", _wasserstein(now, then), WASSERSTEIN))
            merged = _by_quantiles(now, then)
            effects.append(EffectSize(f"psi:{name}", _stability(*merged), STABILITY))
        scored = [max(sketch.scored, 1) for sketch in (self, reference)]
        for name, index in self._tiers.items():
            share = self._tier[index] / scored[0] - reference._tier[index] / scored[1]
            effects.append(EffectSize(f"tier:{name}", abs(float(share)), SHARE))
        truncated = self._truncated / scored[0] - reference._truncated / scored[1]
        blocked = self._blocked / self.articles - reference._blocked / reference.articles
        effects.append(EffectSize("truncated", abs(truncated), SHARE))
        effects.append(EffectSize("blocked", abs(blocked), SHARE))
        for name, counts in self._names.items():
            effects.append(EffectSize(name, _stability(counts, reference._names[name]), STABILITY))
        return effects

    def _counts(self) -> list[Counts]:
        rates = np.array([self.articles, self._blocked, self._truncated])
        return [rates, self._scores.ravel(), self._tier, *self._names.values()]

    def merge(self, other: DistributionSketch) -> None:
        """Add the counts of another sketch of the same filter."""
        self._set(mine + more for mine, more in zip(self._counts(), other._counts(), strict=True))

    def _set(self, counts: Any) -> None:
        rates, scores, self._tier, *names = counts
        self.articles, self._blocked, self._truncated = rates.tolist()
        self._scores = scores.reshape(self._scores.shape)
        self._names = dict(zip(self._names, names, strict=True))

    def snapshot(self) -> str:
        return encode_array(np.concatenate(self._counts()))

    def resume(self, text: str) -> None:
        """Continue from a snapshot of a sketch of the same filter."""
        ends = np.cumsum([len(counts) for counts in self._counts()])[:-1]
        self._set(np.split(decode_array(text, np.int64), ends))


class DataDriftDetector:
    """Compares one student's articles, hour by hour, with those of its first day."""

    def __init__(self, dimensions: Sequence[str], tiers: Sequence[str]) -> None:
        self._shape = (tuple(dimensions), tuple(tiers))
        self._reference = DistributionSketch(*self._shape)
        self._window = DistributionSketch(*self._shape)
        self._started_at: int | None = None  # the reference
        self._opened_at = 0  # the window
        self._large: list[str] = []  # effects of the last window
        self.shifts: tuple[EffectSize, ...] = ()  # large in the last two windows, largest first

    def looks_shifted(self) -> bool:
        """Return whether one window alone shows a shift. That is enough of a sign when labels
        already say that errors grow, which may be before a second window is full."""
        if self.shifts or self._large:
            return True
        if self._is_learning() or self._window.articles < FEWEST:
            return False
        effects = self._window.effects(self._reference)
        return any(effect.size >= effect.limit for effect in effects)

    def shares(self) -> Shares:
        usual = None if self._is_learning() else self._reference.shares()
        return Shares(usual, self._window.shares(), self._window.articles)

    def add(self, article: ScoreSample) -> bool:
        """Count an article. Returns True when it opened a new window, so that `shifts` is new."""
        if self._started_at is None:
            self._started_at = self._opened_at = article.timestamp_ms
        is_over = article.timestamp_ms - self._opened_at >= WINDOW_MILLISECONDS
        closes = is_over and self._window.articles >= FEWEST
        if closes:
            self._close(article.timestamp_ms)
        self._window.add(article)
        return closes

    def _close(self, now: int) -> None:
        if self._is_learning():
            self._reference.merge(self._window)
        else:
            effects = self._window.effects(self._reference)
            large = [item for item in effects if item.size >= item.limit]
            again = [item for item in large if item.name in self._large]
            self.shifts = tuple(sorted(again, key=lambda item: -item.size / item.limit))
            self._large = [item.name for item in large]
        self._window = DistributionSketch(*self._shape)
        self._opened_at = now

    def _is_learning(self) -> bool:
        started = self._started_at if self._started_at is not None else self._opened_at
        return self._opened_at - started < REFERENCE_MILLISECONDS

    def snapshot(self) -> dict[str, Any]:
        return {
            "reference": self._reference.snapshot(),
            "window": self._window.snapshot(),
            "started_at": self._started_at,
            "opened_at": self._opened_at,
            "large": self._large,
            "shifts": [list(effect) for effect in self.shifts],
        }

    def resume(self, snapshot: Mapping[str, Any]) -> None:
        """Continue from the state of a snapshot."""
        self._reference.resume(snapshot["reference"])
        self._window.resume(snapshot["window"])
        self._started_at, self._opened_at = snapshot["started_at"], snapshot["opened_at"]
        self._large = list(snapshot["large"])
        self.shifts = tuple(EffectSize(*effect) for effect in snapshot["shifts"])


def _bin(name: str | None) -> int:
    return zlib.crc32((name or "").encode()) % NAME_BINS


def _wasserstein(now: Counts, then: Counts) -> float:
    """Return the 1-Wasserstein distance in score points: the area between two distributions."""
    gap = np.cumsum(now) / max(now.sum(), 1) - np.cumsum(then) / max(then.sum(), 1)
    return float(np.abs(gap).sum() * SCORE_MAX / SCORE_BINS)


def _by_quantiles(now: Counts, then: Counts) -> tuple[Counts, Counts]:
    """Return both counts in bins that hold about a tenth of the reference each."""
    reached = np.cumsum(then) * QUANTILE_BINS / max(then.sum(), 1)
    starts = np.unique(np.searchsorted(reached, np.arange(QUANTILE_BINS), side="right"))
    starts = starts[starts < len(then)]
    starts[:1] = 0
    return np.add.reduceat(now, starts), np.add.reduceat(then, starts)


def _stability(now: Counts, then: Counts) -> float:
    """Return the population stability index, less its mean when nothing has changed, (B − 1)(1/n +
    1/m) (Yurdakul, 2018)."""
    bins = int(((now + then) > 0).sum())
    if bins < 2 or not now.sum() or not then.sum():  # noqa: PLR2004 - one bin holds all
        return 0.0
    p, q = (counts + HALF_AN_ARTICLE for counts in (now, then))
    p, q = p / p.sum(), q / q.sum()
    index = float(((p - q) * np.log(p / q)).sum())
    return max(index - (bins - 1) * (1 / int(now.sum()) + 1 / int(then.sum())), 0.0)
