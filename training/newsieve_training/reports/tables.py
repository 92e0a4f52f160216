"""Figures as tables, for reports and cards. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from newsieve_training.pipeline.recipe import CROSS_VALIDATION
from newsieve_training.reports.document import Block, Heading, Paragraph, Table
from newsieve_training.reports.formatting import JUDGED_ON, number, percent, span, with_span

Facts = Mapping[str, Any]


def quality_table(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Scorers by name, one a row, overall figures with intervals."""
    return Table(
        ("", "MAE", "RMSE", "bias", "Spearman", "tier agreement", "κ", "shuffled"),
        [
            (
                name,
                with_span(item["mae"], item["mae_interval"]),
                number(item["rmse"]),
                number(item["bias"]),
                with_span(item["spearman"], item["spearman_interval"]),
                with_span(item["tier_agreement"], item["tier_agreement_interval"]),
                with_span(item["tier_kappa"], item["tier_kappa_interval"]),
                number(item["shuffled_mae"]),
            )
            for name, item in found.items()
        ],
    )


def dimension_table(quality: Facts) -> Table:
    """One scorer's errors by dimension."""
    return Table(
        ("dimension", "MAE", "RMSE", "bias", "Spearman"),
        [
            (
                name,
                with_span(item["mae"], item["mae_interval"]),
                *(number(item[key]) for key in ("rmse", "bias", "spearman")),
            )
            for name, item in quality["dimensions"].items()
        ],
    )


def tier_blocks(quality: Facts) -> Iterator[Block]:
    """Who was put where, tier by tier, and how often that agreed."""
    names = list(quality["tiers"])
    yield Table(
        (
            "tier by the oracle",
            "articles",
            "student's",
            "recall",
            "precision",
            *(f"→ {n}" for n in names),
        ),
        [
            (
                name,
                str(item["oracle"]),
                str(item["student"]),
                number(item["recall"]),
                number(item["precision"]),
                *(str(count) for count in item["student_says"].values()),
            )
            for name, item in quality["tiers"].items()
        ],
    )
    yield Paragraph(
        f"All tiers: agreement {number(quality['tier_agreement'])} "
        f"({span(quality['tier_agreement_interval'])}), κ {number(quality['tier_kappa'])} "
        f"({span(quality['tier_kappa_interval'])}); always the commonest tier "
        f"{number(quality['tier_majority'])}. Published or not: agreement "
        f"{number(quality['surfaced_agreement'])} "
        f"({span(quality['surfaced_agreement_interval'])}), κ {number(quality['surfaced_kappa'])} "
        f"({span(quality['surfaced_kappa_interval'])}); always the commoner "
        f"{number(quality['surfaced_majority'])}."
    )


def calibration_blocks(facts: Facts) -> Iterator[Block]:
    """calibration.json."""
    fitted, articles = JUDGED_ON[facts["fitted_on"]], facts["articles"]
    yield Paragraph(
        f"Isotonic curves, fitted on {articles} articles ({fitted}); a dimension has one where in "
        "cross-validation there it gains by more than two standard errors and costs no agreement "
        "of tiers beyond chance."
    )
    if facts["fitted_on"] == facts["judged_on"]:
        yield Paragraph("Which curves are kept was chosen by the articles that judge.")
    yield Table(
        ("dimension", "gain in MAE", "standard error", "calibrated"),
        [
            (
                name,
                number(item["gain"]),
                number(item["standard_error"]),
                "yes" if item["kept"] else "no",
            )
            for name, item in facts["dimensions"].items()
        ],
    )
    confidence = facts["confidence"]
    if confidence is None:
        yield Paragraph("There are too few articles for tier_confidence: none is published.")
        return
    yield Paragraph(
        f"tier_confidence: {facts['residuals']['neighbours']} residuals for each "
        f"article; expected calibration error {number(confidence['expected_calibration_error'])}; "
        f"mean {number(confidence['mean'])}, agreement {number(confidence['agreement'])}."
    )
    yield Table(
        ("published", "articles", "mean", "agreed"),
        [
            (
                f"{item['from']:.1f}-{item['to']:.1f}",
                str(item["articles"]),
                number(item["confidence"]),
                number(item["agreement"]),
            )
            for item in confidence["bins"]
        ],
    )
    for item in confidence["sure"]:
        yield Paragraph(
            f"{percent(item['share'])} of the articles have at least {item['at_least']}; of "
            f"their tiers {percent(item['agreement'])} agree."
        )


def provenance(metadata: Facts, entry: Facts) -> Iterator[Block]:
    """What else the weights come from than training from the base. `entry`: `shipped_entry`'s."""
    start, moved = metadata["start"], entry.get("head_moved_by")
    if start is not None:
        judged = (
            " The students that are judged start from the base: that one knows these articles."
            if metadata["split_kind"] == CROSS_VALIDATION
            else ""
        )
        yield Paragraph(
            f"Continues from the adapter of {start['run']} ({start['adapter'][:12]}).{judged}"
        )
    if moved is not None:
        by = ", ".join(f"{name} {value:+.3f}" for name, value in moved.items())
        yield Paragraph(
            "After the best epoch the head's bias was moved by the mean of what the labels of the "
            f"validation split differ by ({by}); its MAE there is then "
            f"{number(entry['validation']['mae'])}."
        )


def scored_alone(facts: Facts | None) -> Iterator[Block]:
    """What the figures are without articles that content rules block."""
    if facts is not None:
        yield Paragraph(
            f"A worker scores {facts['articles']} of these articles; content rules block the "
            f"others. Of those alone: MAE {with_span(facts['mae'], facts['mae_interval'])}, "
            f"Spearman {number(facts['spearman'])}, tier agreement "
            f"{with_span(facts['tier_agreement'], facts['tier_agreement_interval'])}, κ "
            f"{number(facts['tier_kappa'])}."
        )


def slice_blocks(found: Facts) -> Iterator[Block]:
    """Errors by kind of slice."""
    for kind, slices in found.items():
        yield Heading(f"By {kind}", 3)
        columns = ("articles", "mae", "standard_error", "bias", "tier_agreement")
        yield Table(
            (kind, "articles", "MAE", "standard error", "bias", "tier agreement"),
            [(name, *(number(item[key]) for key in columns)) for name, item in slices.items()],
        )


def worst_table(worst: Sequence[Facts]) -> Table:
    """The articles that student and oracle see most differently, with links."""
    return Table(
        ("article", "MAE", "worst dimension", "oracle", "student", "link"),
        [
            (
                item["title"] or item["id"],
                number(item["mae"]),
                item["dimension"],
                number(item["oracle"]),
                number(item["student"]),
                item["url"] or "–",
            )
            for item in worst
        ],
    )
