"""Shows figures as tables and sentences, for reports and cards. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from newsieve_training.evaluation.results import (
    CalibrationReport,
    Quality,
    SliceQuality,
    WorstArticle,
)
from newsieve_training.fit.epochs import Epoch, Errors
from newsieve_training.fit.metadata import TrainingMetadata
from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.reports.document import Block, Heading, Paragraph, Table
from newsieve_training.reports.formatting import JUDGED_ON, NONE, number, percent, span, with_span


def error_cell(errors: Errors | None, dimension: str | None = None) -> str:
    """Show the mean absolute error of all dimensions, or of one; a dash where there is none."""
    if errors is None:
        return NONE
    return number((errors if dimension is None else errors.dimensions[dimension]).mae)


def quality_table(qualities: Mapping[str, Quality]) -> Table:
    """Show the overall figures of scorers, by name, with intervals."""
    return Table(
        ("", "MAE", "RMSE", "bias", "Spearman", "tier agreement", "κ", "shuffled"),
        [
            (
                name,
                with_span(item.mae, item.mae_interval),
                number(item.rmse),
                number(item.bias),
                with_span(item.spearman, item.spearman_interval),
                with_span(item.tier_agreement, item.tier_agreement_interval),
                with_span(item.tier_kappa, item.tier_kappa_interval),
                number(item.shuffled_mae),
            )
            for name, item in qualities.items()
        ],
    )


def dimension_table(quality: Quality) -> Table:
    """Show the errors of one scorer by dimension."""
    return Table(
        ("dimension", "MAE", "RMSE", "bias", "Spearman"),
        [
            (
                name,
                with_span(item.mae, item.mae_interval),
                number(item.rmse),
                number(item.bias),
                number(item.spearman),
            )
            for name, item in quality.dimensions.items()
        ],
    )


def tier_blocks(quality: Quality) -> Iterator[Block]:
    """Show where articles were put, tier by tier, and how often student and oracle agreed."""
    yield Table(
        (
            "tier by the oracle",
            "articles",
            "student's",
            "recall",
            "precision",
            *(f"→ {tier}" for tier in quality.tiers),
        ),
        [
            (
                name,
                str(item.oracle),
                str(item.student),
                number(item.recall),
                number(item.precision),
                *map(str, item.student_says.values()),
            )
            for name, item in quality.tiers.items()
        ],
    )
    yield Paragraph(
        f"All tiers: agreement {number(quality.tier_agreement)} "
        f"({span(quality.tier_agreement_interval)}), κ {number(quality.tier_kappa)} "
        f"({span(quality.tier_kappa_interval)}); always the commonest tier "
        f"{number(quality.tier_majority)}. Published or not: agreement "
        f"{number(quality.surfaced_agreement)} "
        f"({span(quality.surfaced_agreement_interval)}), κ {number(quality.surfaced_kappa)} "
        f"({span(quality.surfaced_kappa_interval)}); always the commoner "
        f"{number(quality.surfaced_majority)}."
    )


def calibration_blocks(calibration: CalibrationReport) -> Iterator[Block]:
    """Show which curves were kept, and how reliable tier_confidence is."""
    fitted, articles = JUDGED_ON[calibration.fitted_on], calibration.articles
    yield Paragraph(
        f"Isotonic curves, fitted on {articles} articles ({fitted}); a dimension has one where in "
        "cross-validation there it gains by more than two standard errors and costs no agreement "
        "of tiers beyond chance."
    )
    if calibration.fitted_on == calibration.judged_on:
        yield Paragraph("Which curves are kept was chosen by the articles that judge.")
    yield Table(
        ("dimension", "gain in MAE", "standard error", "calibrated"),
        [
            (
                name,
                number(item.gain),
                number(item.standard_error),
                "yes" if item.kept else "no",
            )
            for name, item in calibration.dimensions.items()
        ],
    )
    confidence, residuals = calibration.confidence, calibration.residuals
    if confidence is None or residuals is None:
        yield Paragraph("There are too few articles for tier_confidence: none is published.")
        return
    yield Paragraph(
        f"tier_confidence: {residuals.neighbours} residuals for each article; expected calibration "
        f"error {number(confidence.expected_calibration_error)}; mean {number(confidence.mean)}, "
        f"agreement {number(confidence.agreement)}."
    )
    yield Table(
        ("published", "articles", "mean", "agreed"),
        [
            (
                f"{item.lower:.1f}-{item.upper:.1f}",
                str(item.articles),
                number(item.confidence),
                number(item.agreement),
            )
            for item in confidence.bins
        ],
    )
    for item in confidence.sure:
        yield Paragraph(
            f"{percent(item.share)} of the articles have at least {item.at_least}; of "
            f"their tiers {percent(item.agreement)} agree."
        )


def provenance(metadata: TrainingMetadata, shipped: Epoch) -> Iterator[Block]:
    """Say what the weights come from besides training from the base."""
    start, moved = metadata.start, shipped.head_moved_by
    if start is not None:
        judged = (
            " The students that are judged start from the base: that one knows these articles."
            if metadata.split_kind == CROSS_VALIDATION
            else ""
        )
        yield Paragraph(
            f"Continues from the adapter of {start.run} ({start.adapter[:12]}).{judged}"
        )
    if moved is not None and shipped.validation is not None:
        by = ", ".join(f"{name} {value:+.3f}" for name, value in moved.items())
        yield Paragraph(
            "After the best epoch the head's bias was moved by the mean of what the labels of the "
            f"validation split differ by ({by}); its MAE there is then "
            f"{number(shipped.validation.mae)}."
        )


def scored_alone(quality: Quality | None) -> Iterator[Block]:
    """Say what the figures are without articles that content rules block."""
    if quality is not None:
        yield Paragraph(
            f"A worker scores {quality.articles} of these articles; content rules block the "
            f"others. Of those alone: MAE {with_span(quality.mae, quality.mae_interval)}, "
            f"Spearman {number(quality.spearman)}, tier agreement "
            f"{with_span(quality.tier_agreement, quality.tier_agreement_interval)}, κ "
            f"{number(quality.tier_kappa)}."
        )


def slice_blocks(by_kind: Mapping[str, Mapping[str, SliceQuality]]) -> Iterator[Block]:
    """Show errors by kind of slice and slice."""
    for kind, slices in by_kind.items():
        yield Heading(f"By {kind}", 3)
        columns = ("articles", "mae", "standard_error", "bias", "tier_agreement")
        yield Table(
            (kind, "articles", "MAE", "standard error", "bias", "tier agreement"),
            [
                (name, *(number(getattr(item, column)) for column in columns))
                for name, item in slices.items()
            ],
        )


def worst_table(worst: Sequence[WorstArticle]) -> Table:
    """Show the articles on which student and oracle differ most, with links."""
    return Table(
        ("article", "MAE", "worst dimension", "oracle", "student", "link"),
        [
            (
                item.title or item.id,
                number(item.mae),
                item.dimension,
                number(item.oracle),
                number(item.student),
                item.url or NONE,
            )
            for item in worst
        ],
    )
