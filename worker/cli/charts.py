"""Pictures for a page, as SVG: curves over labels, and bars. Text in, text out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

import numpy as np

from worker.codec.encode import timestamp
from worker.drift.baseline import TWO_SIDED_95, hajek
from worker.drift.states import ALERT_AT, PENDING_AT, WARNING_AT
from worker.drift.window import FEWEST, Past

WIDTH, HEIGHT = 520, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 22  # around the plot
BAR_HEIGHT, BAR_LEFT, BAR_WIDTH = 18, 150, 330
LEAST: Final = 1.0  # evidence at the bottom
HIGHEST: Final = 100_000.0  # evidence at the top, at least
MINUTE_CHARACTERS: Final = len("2026-11-25T13:51")
LEVELS: Final = ((PENDING_AT, "pending"), (WARNING_AT, "warning"), (ALERT_AT, "alert"))

Point = tuple[float, float]


def evidence_chart(past: Past) -> str:
    """Evidence after each label, on a scale of powers of ten."""
    top = math.log10(max(HIGHEST, *past.evidence))
    scale = (math.log10(LEAST), top)
    points = [(float(at), math.log10(max(value, LEAST))) for at, value in enumerate(past.evidence)]
    parts = []
    for value, name in LEVELS:
        parts.append(_level(math.log10(value), scale, f"level {name}", f"{value:,.0f}"))
    parts.append(_curve(points, len(points), scale, "course"))
    return _chart(f"Evidence, now {past.evidence[-1]:,.0f}", [*parts, *_times(past)])


def error_chart(past: Past, usual: float | None) -> str:
    """The mean error of the last few labels after each label, its interval, what is usual."""
    middle, low, high = _rolling(past)
    if not middle:
        return '<p class="soft">Too few labels for an interval.</p>'
    top = max(value for _, value in high) * 1.1
    if usual is not None:
        top = max(top, usual * 1.1)
    scale, count = (0.0, top), len(past.errors)
    band = _path([*high, *reversed(low)], count, scale)
    parts = [f'<path class="band" d="{band}Z"/>', _curve(middle, count, scale, "course")]
    if usual is not None:
        parts.append(_level(usual, scale, "usual", f"{usual:.2f}"))
    parts.append(_tick(top, scale, f"{top:.1f}"))
    return _chart(f"Mean error, now {middle[-1][1]:.2f}", [*parts, *_times(past)])


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """Shares, a bar each."""
    parts = []
    for at, (name, share) in enumerate(rows):
        parts += _bar(at * BAR_HEIGHT, name, share, "bar", BAR_HEIGHT - 5)
    return _picture("Shares of the evidence", parts, BAR_HEIGHT * len(rows))


def pairs(rows: Sequence[tuple[str, float, float]]) -> str:
    """Shares then and now, two bars each."""
    parts = []
    for at, (name, then, now) in enumerate(rows):
        y = at * 2 * BAR_HEIGHT
        parts += _bar(y, name, then, "bar usual", BAR_HEIGHT - 6)
        parts += _bar(y + BAR_HEIGHT - 4, "", now, "bar", BAR_HEIGHT - 6)
    return _picture("Shares of tiers, usually and now", parts, 2 * BAR_HEIGHT * len(rows))


def _rolling(past: Past) -> tuple[list[Point], list[Point], list[Point]]:
    """Mean, lower and upper end after each label, from FEWEST on; weights are 1/π."""
    errors, weights = np.array(past.errors), np.array(past.weights)
    middle, low, high = [], [], []
    for end in range(FEWEST, len(errors) + 1):
        seen = ~np.isnan(errors[end - FEWEST : end])
        if not seen.any():
            continue
        values = errors[end - FEWEST : end][seen][:, None]
        found = hajek(values, weights[end - FEWEST : end][seen])
        mean, margin = float(found.mean[0]), TWO_SIDED_95 * float(found.error[0])
        at = float(end - 1)
        middle.append((at, mean))
        low.append((at, max(mean - margin, 0.0)))
        high.append((at, mean + margin))
    return middle, low, high


def _chart(title: str, parts: Sequence[str]) -> str:
    axis = f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none"/>'
    return _picture(title, [axis, *parts], HEIGHT)


def _picture(title: str, parts: Sequence[str], height: int) -> str:
    kind, name = "chart" if height == HEIGHT else "bars", escape(title)
    return (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">'
        f"<title>{name}</title>{''.join(parts)}</svg>"
    )


def _times(past: Past) -> Iterator[str]:
    """When the first label came, and the last."""
    ends = ((past.positions[0], LEFT, "start"), (past.positions[-1], WIDTH - RIGHT, "end"))
    for position, x, anchor in ends:
        text = (timestamp(position) or "")[:MINUTE_CHARACTERS].replace("T", " ")
        yield f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'


def _curve(points: Sequence[Point], count: int, scale: tuple[float, float], kind: str) -> str:
    return f'<path class="{kind}" d="{_path(points, count, scale)}"/>'


def _path(points: Sequence[Point], count: int, scale: tuple[float, float]) -> str:
    steps = [f"{_x(at, count):.1f} {_y(value, scale):.1f}" for at, value in points]
    return f"M{'L'.join(steps)}"


def _level(value: float, scale: tuple[float, float], kind: str, text: str) -> str:
    y = _y(value, scale)
    line = f'<path class="{kind}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" fill="none"/>'
    return line + _tick(value, scale, text)


def _tick(value: float, scale: tuple[float, float], text: str) -> str:
    y = _y(value, scale)
    return f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'


def _bar(y: int, name: str, share: float, kind: str, height: int) -> list[str]:
    width = max(share, 0.0) * BAR_WIDTH
    middle = y + height / 2 + 4
    return [
        f'<text x="{BAR_LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{BAR_LEFT}" y="{y}" width="{width:.1f}" height="{height}"/>',
        f'<text x="{BAR_LEFT + width + 5:.1f}" y="{middle:.1f}">{share:.0%}</text>',
    ]


def _x(at: float, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at / max(count - 1, 1)


def _y(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    share = (min(max(value, low), high) - low) / ((high - low) or 1.0)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
