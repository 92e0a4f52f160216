"""Geometry of the outcomes per hour, which the template `status.html` draws as stacked bars.

What the picture shows it says in words, too. It knows no markup.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from newsieve.store.counts import Tally

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 712, 12, 172
GAP: Final = 3.0  # between two bars
TICK_HOURS: Final = 6
HOUR_SECONDS: Final = 3_600
STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)  # ends of an axis, times 10^n
MOST_FILTERS: Final = 4  # that have a pattern of their own


class Bar(NamedTuple):
    """A part of an hour's bar: the outcomes of one filter; `kind` is its class."""

    x: float
    y: float
    width: float
    height: float
    kind: str


class HoursChart(NamedTuple):
    """Outcomes per hour, the present one last. Ends of axes are (place, text)."""

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    hours: list[tuple[float, str]]
    legend: list[tuple[str, str]]
    words: str


def hours_chart(tallies: Sequence[Tally], last_hour: int, hours: int) -> HoursChart:
    """Return the chart of the hours up to this one, which are counted since 1970."""
    names = sorted({tally.filter for tally in tallies})
    counts = {name: [0] * hours for name in names}
    first = last_hour - hours + 1
    for tally in tallies:
        if first <= tally.hour <= last_hour:
            counts[tally.filter][tally.hour - first] += tally.outcomes
    sums = [sum(column) for column in zip(*counts.values(), strict=True)]
    top = _rounded_up(max(sums))
    step = (RIGHT - LEFT) / hours
    bars = []
    for index in range(hours):
        y = float(BOTTOM)
        for number, name in enumerate(names):
            height = (BOTTOM - TOP) * counts[name][index] / top
            y -= height
            if height > 0:
                kind = f"hour filter-{min(number, MOST_FILTERS - 1)}"
                bars.append(Bar(LEFT + index * step + GAP / 2, y, step - GAP, height, kind))
    legend = [
        (f"filter-{min(number, MOST_FILTERS - 1)}", name) for number, name in enumerate(names)
    ]
    return HoursChart(
        bars=bars,
        ticks=[
            (float(BOTTOM), "0"),
            ((TOP + BOTTOM) / 2, f"{top / 2:,g}"),
            (float(TOP), f"{top:,g}"),
        ],
        hours=[
            (LEFT + (index + 0.5) * step, _clock(first + index))
            for index in range(hours)
            if (first + index) % TICK_HOURS == 0
        ],
        legend=legend,
        words=_words(counts, sums, first),
    )


def _words(counts: dict[str, list[int]], sums: Sequence[int], first: int) -> str:
    """Return what the picture shows as sentences."""
    by_filter = ", ".join(f"{name} {sum(values):,}" for name, values in counts.items())
    most = max(range(len(sums)), key=sums.__getitem__)
    return (
        f"In {len(sums)} hours: {by_filter}. The most in one hour were {sums[most]:,}, from "
        f"{_clock(first + most)} UTC; in the present hour so far {sums[-1]:,}."
    )


def _clock(hour: int) -> str:
    return dt.datetime.fromtimestamp(hour * HOUR_SECONDS, dt.UTC).strftime("%H:00")


def _rounded_up(value: float) -> float:
    """Return the next number that reads well, and 1 for 0."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in STEPS if step * power >= value)
