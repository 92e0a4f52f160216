"""The report on reviews, for people in a terminal and for programs as JSON.

It knows no store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from newsieve.programs.reviewing.service import ReviewReport
from newsieve.records.encode import timestamp
from newsieve.review.agreement import Estimate
from newsieve.review.report import (
    RANDOM,
    Comparison,
    DimensionAgreement,
    Rater,
    Reliability,
)
from newsieve.terminal import echo, show_table

COLUMNS: Final = ("dimension", "MAE", "bias", "correlation")
NAME_CHARACTERS: Final = 40  # of an oracle's key or a student's hash
HALVES: Final = {
    "random": "articles drawn at random, weighted, with 95 % intervals",
    "disagreement": "articles where oracle and student differ most",
}


def report_json(report: ReviewReport) -> dict[str, Any]:
    """Return the report as a JSON object."""
    return {
        "filter": report.filter.reference,
        "label_hash": report.filter.label_hash,
        "samples": [
            {
                "sample": item.sample.id,
                "seed": item.sample.seed,
                "since": timestamp(item.sample.since_ms),
                "drawn_at": timestamp(item.sample.drawn_ms),
                "frame": item.sample.frame,
                "reviews": item.sample.reviews,
                "at_random": item.at_random,
                "by_disagreement": item.by_disagreement,
                "reviewed": item.reviewed,
            }
            for item in report.samples
        ],
        "reviewers": {
            name: {"scored": scored, "cannot_judge": refused}
            for name, (scored, refused) in report.reviewers.items()
        },
        "comparisons": [_comparison(item) for item in report.comparisons],
        "reliability": [
            {
                "half": item.half,
                "reviewers": item.reviewers,
                "articles": item.articles,
                "alpha": {name: _estimate(found) for name, found in item.alphas.items()},
            }
            for item in report.reliability
        ],
    }


def show_report(report: ReviewReport) -> None:
    """Print the report as tables."""
    for line in summary_lines(report):
        echo(line)
    for item in report.comparisons:
        echo("")
        echo(comparison_title(item))
        show_table("", COLUMNS, [agreement_cells(row) for row in item.dimensions])
        for line in tier_lines(item):
            echo(line)
    for found in report.reliability:
        echo("")
        echo(reliability_title(found))
        rows = [(name, _shown(value)) for name, value in found.alphas.items()]
        show_table("", ("dimension", "alpha"), rows)


def summary_lines(report: ReviewReport) -> Iterator[str]:
    """Yield which samples there are, and who has reviewed how much."""
    if not report.samples:
        yield f"{report.filter.reference}: no sample; `newsieve review sample` draws one"
    for item in report.samples:
        sample = item.sample
        yield (
            f"sample {sample.id} of {report.filter.reference}, seed {sample.seed}: "
            f"{item.at_random:,} of {sample.frame:,} articles at random, {item.by_disagreement:,} "
            f"of largest disagreement; {item.reviewed:,} are reviewed"
        )
    for name, (scored, refused) in report.reviewers.items():
        yield f"{name}: {scored:,} articles scored, {refused:,} that cannot be judged"


def comparison_title(item: Comparison) -> str:
    """Return who is compared on what."""
    left_out = (
        f"; {item.left_out:,} more without a known probability of the label"
        if item.left_out
        else ""
    )
    return (
        f"{rater_name(item.first)} against {rater_name(item.second)}: {item.articles:,} "
        f"{HALVES[item.half]}{left_out}"
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
        _shown(item.mean_absolute_error),
        _shown(item.bias),
        "–" if found is None else f"{found:.2f}",
    )


def tier_lines(item: Comparison) -> Iterator[str]:
    """Yield how often both tiers are the same, then each pair of tiers with its articles."""
    if item.same_tier is None:
        return
    share = item.same_tier
    yield f"the same tier: {_shown(share)} of 1" + (" (weighted)" if item.half == RANDOM else "")
    for (first, second), count in sorted(item.tiers.items(), key=lambda pair: -pair[1]):
        yield f"  {count:>5,}  {first or '–'} / {second or '–'}"


def rater_name(rater: Rater) -> str:
    """Return a rater for people: a key or hash is cut to what tells it apart."""
    name = rater.name.removeprefix("sha256:")
    shown = name if len(name) <= NAME_CHARACTERS else name[: NAME_CHARACTERS - 1] + "…"
    return f"{rater.kind} {shown}"


def _comparison(item: Comparison) -> dict[str, Any]:
    return {
        "first": item.first._asdict(),
        "second": item.second._asdict(),
        "half": item.half,
        "articles": item.articles,
        "left_out": item.left_out,
        "dimensions": {
            row.dimension: {
                "mean_absolute_error": _estimate(row.mean_absolute_error),
                "bias": _estimate(row.bias),
                "correlation": row.correlation,
            }
            for row in item.dimensions
        },
        "same_tier": _estimate(item.same_tier),
        "tiers": [
            {"first": first, "second": second, "articles": count}
            for (first, second), count in item.tiers.items()
        ],
    }


def _estimate(found: Estimate | None) -> dict[str, float | None] | None:
    return None if found is None else found._asdict()


def _shown(found: Estimate | None) -> str:
    if found is None:
        return "–"
    interval = (
        "" if found.low is None or found.high is None else f" ({found.low:.2f}–{found.high:.2f})"
    )
    return f"{found.value:.2f}{interval}"
