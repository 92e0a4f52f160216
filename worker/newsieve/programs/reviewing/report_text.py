"""The report on reviews in words and numbers, as pages and commands show it.

It knows neither markup nor terminals.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from newsieve.programs.reviewing.service import ReviewReport
from newsieve.records.encode import timestamp
from newsieve.review.agreement import Estimate
from newsieve.review.report import (
    DISAGREEMENT,
    RANDOM,
    Comparison,
    DimensionAgreement,
    Rater,
    Reliability,
)

COLUMNS: Final = ("dimension", "mean absolute error", "bias", "Pearson's r")
NAME_CHARACTERS: Final = 40  # of an oracle's key or a student's hash
HALVES: Final = {
    RANDOM: "articles drawn at random",
    DISAGREEMENT: "articles where oracle and student differ most",
}
WEIGHTED: Final = "; weighted, with 95 % intervals"
NONE: Final = "–"
MINUTE_CHARACTERS: Final = len("2026-11-25T13:21")


def summary_lines(report: ReviewReport) -> Iterator[str]:
    """Yield which samples there are, and who has reviewed how much."""
    if not report.samples:
        yield f"{report.filter.reference}: no sample; `newsieve review sample` draws one"
    for item in report.samples:
        sample = item.sample
        since = f" since {_shown_time(sample.since_ms)}" if sample.since_ms else ""
        yield (
            f"sample {sample.id} of {report.filter.reference}, seed {sample.seed}, drawn "
            f"{_shown_time(sample.drawn_ms)} from {sample.frame:,} articles that were scored"
            f"{since}: {item.at_random:,} at random, {item.by_disagreement:,} of largest "
            f"disagreement; {item.reviewed:,} are reviewed"
        )
    for name, (scored, refused) in report.reviewers.items():
        yield f"{name}: {scored:,} scored, {refused:,} that cannot be judged"


def comparison_title(item: Comparison) -> str:
    """Return who is compared on what."""
    left_out = (
        f"; {item.left_out:,} more without a known probability of the label"
        if item.left_out
        else ""
    )
    return (
        f"{rater_name(item.first)} against {rater_name(item.second)}: {item.articles:,} "
        f"{HALVES[item.half]}{WEIGHTED if item.half == RANDOM else ''}{left_out}"
    )


def reliability_title(item: Reliability) -> str:
    """Return whose agreement it is, and on how many articles."""
    return (
        f"{', '.join(item.reviewers)} among themselves: Krippendorff's alpha (interval) of "
        f"{item.articles:,} {HALVES[item.half]}"
    )


def agreement_cells(item: DimensionAgreement) -> tuple[str, ...]:
    """Return a dimension's row."""
    found = item.correlation
    return (
        item.dimension,
        shown_estimate(item.mean_absolute_error),
        shown_estimate(item.bias),
        NONE if found is None else f"{found:.2f}",
    )


def tier_lines(item: Comparison) -> Iterator[str]:
    """Yield how often both tiers are the same, then each pair of tiers with its articles."""
    if item.same_tier is None:
        return
    share = item.same_tier
    yield f"the same tier: {shown_estimate(share)} of 1" + (
        " (weighted)" if item.half == RANDOM else ""
    )
    for (first, second), count in sorted(item.tiers.items(), key=lambda pair: -pair[1]):
        yield f"  {count:>5,}  {first or NONE} / {second or NONE}"


def rater_name(rater: Rater) -> str:
    """Return a rater for people: a key or hash is cut to what tells it apart."""
    name = rater.name.removeprefix("sha256:")
    shown = name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"
    return f"{rater.kind} {shown}"


def shown_estimate(found: Estimate | None) -> str:
    """Return a value, with its interval where it has one."""
    if found is None:
        return NONE
    interval = (
        "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"
    )
    return f"{found.value:.2f}{interval}"


def _shown_time(milliseconds: int) -> str:
    return (timestamp(milliseconds) or "")[:MINUTE_CHARACTERS].replace("T", " ") + " UTC"
