"""Geometry of a page's curves over labels, which the template `charts.html` draws.

What a picture shows it says in words, too: its title and its description are read aloud. Knows no
markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from newsieve.drift.baseline import TWO_SIDED_95, hajek
from newsieve.drift.monitor_state import ALERT_AT, PENDING_AT, WARNING_AT
from newsieve.drift.recent_labels import FEWEST, LabelHistory
from newsieve.records.encode import timestamp

Point = tuple[float, float]
Scale = tuple[float, float]


class Frame(NamedTuple):
    """The picture's size and the edges of the plot within it."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


FRAME: Final = Frame(width=400, height=230, left=58, right=328, top=24, bottom=188)
LEAST: Final = 1.0  # evidence at the bottom
HIGHEST: Final = 100_000.0  # evidence at the top,
CEILING: Final = 10_000_000.0  # or, where it is higher: lines that mean something stay apart
HEADROOM: Final = 1.05  # above the highest error
ROUND: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # ends of an axis, times 10^n
LEVELS: Final = ((PENDING_AT, "pending"), (WARNING_AT, "warning"), (ALERT_AT, "alert"))
_TIME: Final = "2026-11-25T13:51:07.123"
DATE_CHARACTERS: Final = len("2026-11-25 ")
PRECISIONS: Final = (len(_TIME[:-7]), len(_TIME[:-4]), len(_TIME))  # minutes, seconds, thousandths


class Line(NamedTuple):
    """A line across the plot with its name at the right end; `kind` is its class."""

    y: float
    kind: str
    name: str


class Tick(NamedTuple):
    """A number at the vertical axis."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve over labels. Points are in the picture's coordinates."""

    title: str
    what: str
    up: str  # the name of the vertical axis
    across: str  # and of the horizontal one
    ends: tuple[str, ...]  # of the horizontal axis: two, or one for a single label
    lines: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    course: tuple[Point, ...]
    band: tuple[Point, ...] = ()


def evidence_chart(history: LabelHistory) -> Chart:
    """Return a chart of the evidence after each label, on a scale of powers of ten."""
    top = HIGHEST if max(history.evidence) <= HIGHEST else CEILING
    scale = (math.log10(LEAST), math.log10(top))
    course = [
        (index, math.log10(max(value, LEAST))) for index, value in enumerate(history.evidence)
    ]
    levels = [(_y(math.log10(value), scale), value, name) for value, name in LEVELS]
    levels_said = ", ".join(f"{name} at {value:,.0f}" for value, name in LEVELS)
    now = history.evidence[-1]
    return Chart(
        title=f"Evidence of drift, now {now:,.0f}" if now <= CEILING else "Evidence of drift",
        what=f"Lines: {levels_said}.",
        up="evidence",
        across=_across(history),
        ends=_ends(history),
        lines=tuple(Line(y, f"level {name}", name) for y, _, name in levels),
        ticks=(
            Tick(_y(scale[0], scale), f"{LEAST:.0f}"),
            Tick(_y(scale[1], scale), f"{top:,.0f}"),
            *(Tick(y, f"{value:,.0f}") for y, value, _ in levels),
        ),
        course=_points(course, len(history.evidence), scale),
    )


def error_chart(history: LabelHistory, usual: float | None) -> Chart | None:
    """Return a chart of the mean error of the last few labels after each label, with its interval
    and the usual error; None where there are too few labels for an interval."""
    middle, low, high = _rolling(history)
    if not middle:
        return None
    top = _rounded_up(HEADROOM * max(usual or 0.0, *(value for _, value in high)))
    scale, count = (0.0, top), len(history.errors)
    lines = () if usual is None else (Line(_y(usual, scale), "usual", f"usual {usual:.2f}"),)
    return Chart(
        title=f"Mean absolute error, now {middle[-1][1]:.2f}",
        what=f"The mean of {FEWEST} labels, and its interval of 95 %.",
        up="MAE, score points",
        across=_across(history),
        ends=_ends(history),
        lines=lines,
        ticks=(Tick(_y(0.0, scale), "0"), Tick(_y(top, scale), f"{top:g}")),
        course=_points(middle, count, scale),
        band=_points([*high, *reversed(low)], count, scale),
    )


def path(points: Sequence[Point]) -> str:
    """Return the points as the data of an SVG path."""
    return f"M{'L'.join(f'{x:.1f} {y:.1f}' for x, y in points)}"


def _rolling(history: LabelHistory) -> tuple[list[Point], list[Point], list[Point]]:
    """Return the mean and the ends of its interval after each label, from FEWEST on; weights are
    1/π."""
    errors, weights = np.array(history.errors), np.array(history.weights)
    middle, low, high = [], [], []
    for end in range(FEWEST, len(errors) + 1):
        seen = ~np.isnan(errors[end - FEWEST : end])
        if not seen.any():
            continue
        values = errors[end - FEWEST : end][seen][:, None]
        estimate = hajek(values, weights[end - FEWEST : end][seen])
        mean, margin = float(estimate.mean[0]), TWO_SIDED_95 * float(estimate.error[0])
        index = float(end - 1)
        middle.append((index, mean))
        low.append((index, max(mean - margin, 0.0)))
        high.append((index, mean + margin))
    return middle, low, high


def _rounded_up(value: float) -> float:
    """Return the next number that reads well, and 1 for 0, so that an axis has two ends."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in ROUND if step * power >= value or step == ROUND[-1])


def _across(history: LabelHistory) -> str:
    """Return the name of the horizontal axis."""
    count = len(history.positions)
    labels = "the only label so far" if count == 1 else f"the last {count} labels, in order"
    return f"{labels}, UTC"


def _ends(history: LabelHistory) -> tuple[str, ...]:
    """Return both ends of the axis, as precise as it takes to tell them apart, the second one
    without its date where that is the first one's. A single label has one end."""
    first, last = history.positions[0], history.positions[-1]
    times = [(timestamp(position) or str(position)).removesuffix("Z") for position in (first, last)]
    if first == last:
        shown = times[0].replace("T", " ")
        return (
            (shown,) if len(history.positions) == 1 else (shown, f"label {len(history.positions)}")
        )
    for characters in PRECISIONS:
        start, end = (text[:characters].replace("T", " ") for text in times)
        if start != end:
            return start, end.removeprefix(start[:DATE_CHARACTERS])
    return times[0], times[1]


def _points(points: Sequence[Point], count: int, scale: Scale) -> tuple[Point, ...]:
    """Return (index of a label, value) pairs in the picture's coordinates."""
    return tuple((_x(index, count), _y(value, scale)) for index, value in points)


def _x(index: float, count: int) -> float:
    return FRAME.left + (FRAME.right - FRAME.left) * index / max(count - 1, 1)


def _y(value: float, scale: Scale) -> float:
    low, high = scale
    share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
    return FRAME.bottom - (FRAME.bottom - FRAME.top) * share
