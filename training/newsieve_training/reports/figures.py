"""Draws the figures of a report: results and names come in, PNG files go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from newsieve.inference.manifest import CurvePoints
from newsieve_training.evaluation.results import Quality, Reliability
from newsieve_training.fit.epochs import Epoch

mpl.use("Agg")  # files only: no display is asked for

DOTS_PER_INCH: Final = 150
# Okabe and Ito's palette: told apart by colour-blind readers, too.
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
GREY: Final = "#999999"
HIGHEST_SHARE: Final = 1.0


def overall_metrics(
    path: Path, names: Sequence[str], qualities: Sequence[Quality], judged_on: str
) -> None:
    """Draw error, rank correlation and tier agreement of each scorer, with intervals."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = (
        ("mae", "Mean absolute error (lower is better)"),
        ("spearman", "Spearman correlation"),
        ("tier_agreement", "Tier agreement"),
    )
    for axes, (key, title) in zip(
        figure.subplots(1, len(panels), sharey=True), panels, strict=True
    ):
        known = [getattr(item, key) for item in qualities]
        values = [value or 0.0 for value in known]
        spans = [
            getattr(item, f"{key}_interval") or (value, value)
            for item, value in zip(qualities, values, strict=True)
        ]
        below = [max(0.0, value - low) for value, (low, _) in zip(values, spans, strict=True)]
        above = [max(0.0, high - value) for value, (_, high) in zip(values, spans, strict=True)]
        colours = [BLUE, ORANGE, *[GREY] * len(names)][: len(names)]
        axes.barh(
            range(len(names)), values, xerr=[below, above], color=colours, ecolor="black", capsize=3
        )
        for bar, (value, more) in enumerate(zip(values, above, strict=True)):
            text = f" {value:.3f}" if known[bar] is not None else " –"
            axes.text(value + more, bar, text, va="center", fontsize=8)
        axes.set_title(title, fontsize=10)
        axes.set_yticks(range(len(names)), names)
        ends = [value + more for value, more in zip(values, above, strict=True)]
        starts = [value - less for value, less in zip(values, below, strict=True)]
        axes.set_xlim(min(0.0, *starts) * 1.2, max(ends) * 1.2)
        _plain(axes)
    figure.axes[0].invert_yaxis()
    figure.suptitle(
        f"On {qualities[0].articles} articles ({judged_on}), 95 % intervals", fontsize=11
    )
    _save(figure, path)


def per_dimension_mae(
    path: Path,
    names: Sequence[str],
    series: Mapping[str, Sequence[float]],
    gate: float,
    gate_is_of: str,
) -> None:
    """Draw bars for each dimension, one for each series, and a line where the gate is."""
    figure = Figure(figsize=(9, 0.2 * len(names) * len(series) + 1.4), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        places = [row + (number - (len(series) - 1) / 2) * height for row in range(len(names))]
        colour = (GREY, BLUE, ORANGE, GREEN)[number]
        axes.barh(places, values, height=height * 0.92, label=label, color=colour)
        for place, value in zip(places, values, strict=True):
            label_box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the gate
            axes.text(value, place, f" {value:.2f}", va="center", fontsize=7, bbox=label_box)
    axes.axvline(gate, color=RED, linestyle="--", linewidth=1, label=f"gate {gate:g}, {gate_is_of}")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("Mean absolute error, score points")
    axes.set_title("Error by dimension", fontsize=11)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    _plain(axes)
    _save(figure, path)


def loss_curves(path: Path, epochs: Sequence[Epoch], best: int | None) -> None:
    """Draw loss and mean absolute error by epoch. `best` is the epoch that ships."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    numbers = [item.epoch for item in epochs]
    for axes, (key, title) in zip(
        figure.subplots(1, 2), (("loss", "Loss"), ("mae", "Mean absolute error")), strict=True
    ):
        for kind, colour in (("train", BLUE), ("validation", ORANGE)):
            errors = [getattr(item, kind) for item in epochs]
            if all(errors):
                values = [getattr(item, key) for item in errors]
                axes.plot(numbers, values, marker="o", color=colour, label=kind)
        if best is not None:
            axes.axvline(best, color=GREY, linestyle=":", label="shipped")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("Epoch")
        axes.set_xticks(numbers)
        axes.legend(fontsize=8, frameon=False)
        _plain(axes)
    _save(figure, path)


def calibration(
    path: Path,
    confidence: Reliability | None,
    curves: Mapping[str, CurvePoints],
) -> None:
    """Draw the reliability of tier confidences, and where the curves bring raw scores."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _reliability(left, confidence)
    right.plot([0, 10], [0, 10], color=GREY, linestyle="--", linewidth=1)
    for number, (name, points) in enumerate(curves.items()):
        right.plot(
            [0, *points.raw, 10],
            [points.calibrated[0], *points.calibrated, points.calibrated[-1]],
            label=name,
            linewidth=1.3,
            color=mpl.color_sequences["tab10"][number % 10],
        )
    right.set_title("Calibration by dimension", fontsize=10)
    right.set_xlabel("Raw score")
    right.set_ylabel("Published score")
    right.set_xlim(0, 10)
    right.set_ylim(0, 10)
    if curves:
        right.legend(fontsize=7, frameon=False)
    else:
        right.text(5, 1, "no dimension gains: raw scores are published", ha="center", fontsize=8)
    _plain(right)
    _save(figure, path)


def _reliability(axes: Axes, confidence: Reliability | None) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    axes.set_title("Reliability of tier_confidence", fontsize=10)
    if confidence is None:
        axes.text(0.5, 0.1, "too few articles: none is published", ha="center", fontsize=8)
    else:
        bins = confidence.bins
        most = max(item.articles for item in bins)
        for item in bins:
            width = item.upper - item.lower
            axes.bar(
                item.lower + width / 2,
                item.articles / most * 0.2,
                width=width * 0.9,
                color=GREY,
                alpha=0.5,
            )
            axes.text(item.lower + width / 2, 0.005, str(item.articles), ha="center", fontsize=7)
        axes.plot(
            [item.confidence for item in bins],
            [item.agreement for item in bins],
            marker="o",
            color=BLUE,
            label=f"expected error {confidence.expected_calibration_error:.3f}",
        )
    axes.set_xlabel("Probability that was published (bars: articles)")
    axes.set_ylabel("Share that agreed with the oracle")
    axes.set_xlim(0, HIGHEST_SHARE)
    axes.set_ylim(0, HIGHEST_SHARE)
    axes.legend(fontsize=8, loc="upper left", frameon=False)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
