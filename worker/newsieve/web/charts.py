"""Pictures for a page, as SVG: curves over labels, and bars. Text in, text out.

What a picture shows it says in words, too: its title and its description are read aloud.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from newsieve.drift.baseline import TWO_SIDED_95, hajek
from newsieve.drift.monitor_state import ALERT_AT, PENDING_AT, WARNING_AT
from newsieve.drift.recent_labels import FEWEST, LabelHistory
from newsieve.printable import printable
from newsieve.records.encode import timestamp

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 58, 72, 24, 42  # around the plot
LINE_HEIGHT = 16
BAR_HEIGHT, BAR_LEFT, BAR_WIDTH = 20, 150, 120
NAME_CHARACTERS: Final = 20  # left of a bar
LEAST: Final = 1.0  # evidence at the bottom
HIGHEST: Final = 100_000.0  # evidence at the top,
CEILING: Final = 10_000_000.0  # or, where it is higher: lines that mean something stay apart
HEADROOM: Final = 1.05  # above the highest error
ROUND: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)  # ends of an axis, times 10^n
LEVELS: Final = ((PENDING_AT, "pending"), (WARNING_AT, "warning"), (ALERT_AT, "alert"))
_TIME: Final = "2026-11-25T13:51:07.123"
DATE_CHARACTERS: Final = len("2026-11-25 ")
PRECISIONS: Final = (len(_TIME[:-7]), len(_TIME[:-4]), len(_TIME))  # minutes, seconds, thousandths

Point = tuple[float, float]
Scale = tuple[float, float]


def escape(text: str) -> str:
    """What others wrote, in a page: nothing of it is markup, and all of it is seen."""
    return html.escape(printable(text))


def evidence_chart(history: LabelHistory) -> str:
    """Evidence after each label, on a scale of powers of ten."""
    top = HIGHEST if max(history.evidence) <= HIGHEST else CEILING
    scale = (math.log10(LEAST), math.log10(top))
    points = [
        (float(index), math.log10(max(value, LEAST)))
        for index, value in enumerate(history.evidence)
    ]
    parts = [_tick(scale[0], scale, f"{LEAST:.0f}"), _tick(scale[1], scale, f"{top:,.0f}")]
    for value, name in LEVELS:
        parts.append(_level(math.log10(value), scale, f"level {name}", name))
        parts.append(_tick(math.log10(value), scale, f"{value:,.0f}"))
    parts.append(_curve(points, len(points), scale, "course"))
    levels = ", ".join(f"{name} at {value:,.0f}" for value, name in LEVELS)
    now = history.evidence[-1]
    title = f"Evidence of drift, now {now:,.0f}" if now <= CEILING else "Evidence of drift"
    return _chart(title, f"Lines: {levels}.", "evidence", [*parts, *_times(history)], history)


def error_chart(history: LabelHistory, usual: float | None) -> str:
    """The mean error of the last few labels after each label, its interval, what is usual."""
    middle, low, high = _rolling(history)
    if not middle:
        return f'<p class="soft">Too few labels for an interval: {FEWEST} are needed.</p>'
    top = _rounded_up(HEADROOM * max(usual or 0.0, *(value for _, value in high)))
    scale, count = (0.0, top), len(history.errors)
    band = _path([*high, *reversed(low)], count, scale)
    parts = [f'<path class="band" d="{band}Z"/>', _curve(middle, count, scale, "course")]
    if usual is not None:
        parts.append(_level(usual, scale, "usual", f"usual {usual:.2f}"))
    parts += [_tick(0.0, scale, "0"), _tick(top, scale, f"{top:g}")]
    what = f"The mean of {FEWEST} labels, and its interval of 95 %."
    title = f"Mean absolute error, now {middle[-1][1]:.2f}"
    return _chart(title, what, "MAE, score points", [*parts, *_times(history)], history)


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """Shares, a bar each."""
    parts = []
    for index, (name, share) in enumerate(rows):
        parts += _bar(index * BAR_HEIGHT, name, share, "bar", "")
    what = ", ".join(f"{name} {_percent(share)}" for name, share in rows)
    return _picture("bars", "Shares of the evidence", what, parts, BAR_HEIGHT * len(rows))


def pairs(rows: Sequence[tuple[str, float | None, float]]) -> str:
    """Shares on the first day, once it is known, and now: a bar each."""
    parts, y = [], 0
    for name, then, now in rows:
        parts += _bar(y, name, now, "bar", " now")
        if then is not None:
            y += BAR_HEIGHT - 4
            parts += _bar(y, "", then, "bar usual", " on the first day")
        y += BAR_HEIGHT + 4
    what = ", ".join(
        f"{name} {_percent(now)} now" + (f", {_percent(then)} then" if then is not None else "")
        for name, then, now in rows
    )
    return _picture("bars", "Shares of tiers", what, parts, y)


def _rolling(history: LabelHistory) -> tuple[list[Point], list[Point], list[Point]]:
    """Mean, lower and upper end after each label, from FEWEST on; weights are 1/π."""
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
    """The next number that reads well; 1 for 0, so that an axis has two ends."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in ROUND if step * power >= value or step == ROUND[-1])


def _chart(title: str, what: str, name: str, parts: Sequence[str], history: LabelHistory) -> str:
    """Within named axes."""
    count = len(history.positions)
    axis = f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none"/>'
    labels = "the only label so far" if count == 1 else f"the last {count} labels, in order"
    x_name = f"{labels}, UTC"
    names = [
        f'<text class="name" x="{LEFT - 5}" y="12" text-anchor="start">{escape(name)}</text>',
        f'<text class="name" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{x_name}</text>',
    ]
    ends = " to ".join(_ends(history))
    about = f"{what} Over {x_name}: {ends}."
    return _picture("chart", title, about, [axis, *names, *parts], HEIGHT)


def _picture(kind: str, title: str, what: str, parts: Sequence[str], height: int) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(what)}</desc>{''.join(parts)}</svg>"
    )


def _times(history: LabelHistory) -> Iterator[str]:
    """When the first label came, and the last."""
    places = ((LEFT, "start"), (WIDTH - RIGHT, "end"))
    for text, (x, anchor) in zip(_ends(history), places, strict=False):
        y = HEIGHT - BOTTOM + LINE_HEIGHT
        yield f'<text class="end" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _ends(history: LabelHistory) -> tuple[str, ...]:
    """Both ends of the axis, as precise as it takes to tell them apart, the second without its date
    where that is the first's; one for a single label."""
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


def _curve(points: Sequence[Point], count: int, scale: Scale, kind: str) -> str:
    if len(points) == 1:
        (index, value) = points[0]
        return (
            f'<circle class="dot" cx="{_x(index, count):.1f}" cy="{_y(value, scale):.1f}" r="3"/>'
        )
    return f'<path class="{kind}" d="{_path(points, count, scale)}"/>'


def _path(points: Sequence[Point], count: int, scale: Scale) -> str:
    steps = [f"{_x(index, count):.1f} {_y(value, scale):.1f}" for index, value in points]
    return f"M{'L'.join(steps)}"


def _level(value: float, scale: Scale, kind: str, name: str) -> str:
    """A line across, and its name at it."""
    y = _y(value, scale)
    return (
        f'<path class="{kind}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" fill="none"/>'
        f'<text class="word" x="{WIDTH - RIGHT + 5}" y="{y + 4:.1f}">{escape(name)}</text>'
    )


def _tick(value: float, scale: Scale, text: str) -> str:
    y = _y(value, scale)
    return f'<text class="tick" x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'


def _bar(y: int, name: str, share: float, kind: str, when: str) -> list[str]:
    width, height = max(share, 0.0) * BAR_WIDTH, BAR_HEIGHT - 6
    middle = y + height / 2 + 4
    shown = name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"
    return [
        f'<text x="{BAR_LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(shown)}</text>',
        f'<rect class="{kind}" x="{BAR_LEFT}" y="{y}" width="{width:.1f}" height="{height}"/>',
        f'<text x="{BAR_LEFT + width + 5:.1f}" y="{middle:.1f}">{_percent(share)}{when}</text>',
    ]


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _x(index: float, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * index / max(count - 1, 1)


def _y(value: float, scale: Scale) -> float:
    low, high = scale
    share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
