"""The error streams of a labelled article, which a test watches: 3D + 5 for D dimensions.

    mae, abs:<dimension> …       absolute errors, which a worse student raises
    bias+, bias-, b+:…, b-:…     signed errors, clipped, once each way: these cancel out in a mean
    wabs                         error of the weighted average, before gates and caps
    tier                         1 when student and oracle decide different tiers

To add a stream, add a row to `streams_of`: arrays, formats, headlines and attribution follow from
the rows. Student scores are clamped first. Sums run dimension by dimension, so that a label's
streams do not depend on its batch. Knows nothing of baselines and bets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.registry import Filter
from newsieve.filters.tiering import round_scores

Floats = npt.NDArray[np.float64]

MAE: Final = "mae"
BIAS_CLIP: Final = 4.0  # score points; beyond it an error says nothing more about a bias
ERROR_BOUNDS: Final = (0.0, SCORE_MAX - SCORE_MIN)
BIAS_BOUNDS: Final = (-BIAS_CLIP, BIAS_CLIP)
SHARE_BOUNDS: Final = (0.0, 1.0)
# Shares of the evidence. The dimensions share theirs equally, both directions of a bias too.
MAE_WEIGHT: Final = 0.30
DIMENSIONS_WEIGHT: Final = 0.30
BIAS_WEIGHT: Final = 0.15
DIMENSION_BIASES_WEIGHT: Final = 0.10
AVERAGE_WEIGHT: Final = 0.075
TIER_WEIGHT: Final = 0.075

Kind = Literal[
    "error",  # a size: what is larger is worse
    "bias_up",  # student minus oracle
    "bias_down",  # oracle minus student; people are shown student minus oracle
]
Unit = Literal["points", "share"]


class Comparison(NamedTuple):
    """The scores of N articles, student against oracle. Streams are computed from this and nothing
    else, since this is what is kept of recent labels."""

    differences: Floats  # (N, D), student minus oracle
    tier_differs: Floats  # (N,), 1 where student and oracle decide different tiers


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream: how it is computed from a comparison, how much it weighs, and how it is shown."""

    name: str  # in records
    kind: Kind
    bounds: tuple[float, float]
    weight: float  # in proportion to the other streams' weights
    compute: Callable[[Comparison], Floats] = field(compare=False)  # (N,) from N articles
    title: str  # begins a headline
    unit: Unit
    group: str  # the name under which the page adds up shares of the evidence
    dimension: str | None = None  # the dimension whose absolute error this is

    @property
    def is_signed(self) -> bool:
        """Whether the stream's sign says in which direction the student errs."""
        return self.kind != "error"


def streams_of(filter_: Filter) -> tuple[Stream, ...]:
    """Return the table of a filter's streams."""
    dimensions = filter_.definition.dimension_names
    weights = [item.weight for item in filter_.definition.dimensions]
    count = len(dimensions)
    each, each_bias = DIMENSIONS_WEIGHT / count, DIMENSION_BIASES_WEIGHT / (2 * count)
    mean_bias = "The mean of student minus oracle"

    def absolute(index: int, name: str) -> Stream:
        def compute(articles: Comparison) -> Floats:
            return np.abs(articles.differences[:, index])

        title = f"The error of {name}"
        return Stream(
            f"abs:{name}", "error", ERROR_BOUNDS, each, compute, title, "points", name, name
        )

    def bias(index: int, name: str, kind: Kind) -> Stream:
        def compute(articles: Comparison) -> Floats:
            return _directed(np.clip(articles.differences[:, index], *BIAS_BOUNDS), kind)

        prefix, title = PREFIXES[kind], f"Student minus oracle in {name}"
        return Stream(
            f"{prefix}:{name}", kind, BIAS_BOUNDS, each_bias, compute, title, "points", name
        )

    return (
        Stream(MAE, "error", ERROR_BOUNDS, MAE_WEIGHT, _mae, "MAE", "points", "mean error"),
        *(absolute(index, name) for index, name in enumerate(dimensions)),
        Stream(
            "bias+", "bias_up", BIAS_BOUNDS, BIAS_WEIGHT / 2, _mean, mean_bias, "points",
            "mean bias, up",
        ),
        Stream(
            "bias-", "bias_down", BIAS_BOUNDS, BIAS_WEIGHT / 2,
            lambda articles: _directed(_mean(articles), "bias_down"), mean_bias, "points",
            "mean bias, down",
        ),
        *(bias(index, name, "bias_up") for index, name in enumerate(dimensions)),
        *(bias(index, name, "bias_down") for index, name in enumerate(dimensions)),
        Stream(
            "wabs", "error", ERROR_BOUNDS, AVERAGE_WEIGHT,
            lambda articles: np.abs(_weighted(articles, weights)),
            "The error of the weighted average", "points", "weighted average",
        ),
        Stream(
            "tier", "error", SHARE_BOUNDS, TIER_WEIGHT, lambda articles: articles.tier_differs,
            "The share of different tiers", "share", "tier",
        ),
    )  # fmt: skip


PREFIXES: Final[dict[Kind, str]] = {"bias_up": "b+", "bias_down": "b-"}
# Refused or invalid answers: tested in a bank of its own, since such an answer has no other stream.
FAIL: Final = Stream(
    "fail", "error", SHARE_BOUNDS, 0.0, lambda articles: np.zeros(len(articles.tier_differs)),
    "The share of refused or invalid answers", "share", "refused or invalid",
)  # fmt: skip


class ComparedBatch(NamedTuple):
    """The scores of N articles, student against oracle, with the streams computed from them."""

    values: Floats  # (N, S), the streams
    differences: Floats  # (N, D), student minus oracle
    tier_differs: Floats  # (N,) of 0 and 1
    mean_errors: Floats  # (N,), mean absolute errors
    surfaced: list[bool]  # whether the student's tier is published


class ErrorStreams:
    """One filter's table of streams as arrays, with one entry per stream in the table's order."""

    def __init__(self, filter_: Filter, table: Sequence[Stream] | None = None) -> None:
        """`table` replaces the filter's own; it must have a stream named `mae`."""
        self.table: tuple[Stream, ...] = tuple(streams_of(filter_) if table is None else table)
        self.names: tuple[str, ...] = tuple(stream.name for stream in self.table)
        self.tested = (*self.table, FAIL)
        self.dimensions = filter_.definition.dimension_names
        self.mae = self.names.index(MAE)
        self.lowest: Floats = np.array([stream.bounds[0] for stream in self.table])
        self.highest: Floats = np.array([stream.bounds[1] for stream in self.table])
        self.is_signed = np.array([stream.is_signed for stream in self.table])
        weights = [stream.weight for stream in self.table]
        self.weights: Floats = np.array(weights) / math.fsum(weights)
        self._tiering = filter_.tiering
        self._published = frozenset(filter_.definition.published_tiers)

    def compare(
        self, student: Floats, oracle: Floats, rules_met: Sequence[Collection[str]]
    ) -> ComparedBatch:
        """Compare the scores of N articles. `student` and `oracle` are (N, D) in dimension
        order."""
        clamped = np.clip(student, SCORE_MIN, SCORE_MAX)
        students = self._tiering.decide(round_scores(clamped), rules_met).tier
        oracles = self._tiering.decide(round_scores(oracle), rules_met).tier
        differs = np.array([a != b for a, b in zip(students, oracles, strict=True)], np.float64)
        differences = clamped - oracle
        values = self.values(Comparison(differences, differs))
        surfaced = [tier in self._published for tier in students]
        return ComparedBatch(values, differences, differs, values[:, self.mae], surfaced)

    def values(self, articles: Comparison) -> Floats:
        """Return the (N, S) values of all streams."""
        computed: Floats = np.stack([stream.compute(articles) for stream in self.table], axis=1)
        return computed


def _directed(values: Floats, kind: Kind) -> Floats:
    return -values if kind == "bias_down" else values


def _mae(articles: Comparison) -> Floats:
    columns = articles.differences.T
    return _total([np.abs(column) for column in columns]) / len(columns)


def _mean(articles: Comparison) -> Floats:
    columns = articles.differences.T
    clipped: Floats = np.clip(_total(list(columns)) / len(columns), *BIAS_BOUNDS)
    return clipped


def _weighted(articles: Comparison, weights: Sequence[float]) -> Floats:
    columns = articles.differences.T
    return _total([weight * column for weight, column in zip(weights, columns, strict=True)])


def _total(columns: Sequence[Floats]) -> Floats:
    total = np.zeros(len(columns[0]))
    for column in columns:
        total += column
    return total
