"""Formats figures as reports and cards show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from newsieve_training.evaluation.baselines import NAMES

SCORERS: Final = {"published": "as published", "student": "student, raw scores", **NAMES}
NONE: Final = "–"
JUDGED_ON: Final = {
    "cross_validation": "cross-validation: each by a student that never saw it",
    "validation": "the validation split, which chose",
    "test": "a test split that chose nothing",
}


def number(value: float | None) -> str:
    """Format a count as it is, a figure with three decimals, and None as a dash."""
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def percent(value: float) -> str:
    return f"{value:.1%}"


def span(interval: Sequence[float] | None) -> str:
    if interval is None:
        return NONE
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def with_span(value: float | None, interval: Sequence[float] | None) -> str:
    return number(value) if interval is None else f"{number(value)} ({span(interval)})"


def counts(by_name: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'unnamed'} {count:,}" for name, count in by_name.items())
