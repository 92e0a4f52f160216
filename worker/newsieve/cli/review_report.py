"""The report on reviews, for people in a terminal and for programs as JSON.

It knows no store.
"""

from __future__ import annotations

from typing import Any

from newsieve.programs.reviewing.report_text import (
    COLUMNS,
    agreement_cells,
    comparison_title,
    reliability_title,
    shown_estimate,
    summary_lines,
    tier_lines,
)
from newsieve.programs.reviewing.service import ReviewReport
from newsieve.records.encode import timestamp
from newsieve.review.agreement import Estimate
from newsieve.review.report import Comparison
from newsieve.terminal import echo, show_table


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
        rows = [(name, shown_estimate(value)) for name, value in found.alphas.items()]
        show_table("", ("dimension", "alpha"), rows)


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
