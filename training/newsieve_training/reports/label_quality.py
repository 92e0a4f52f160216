"""Shows the audit as a report for people: what the labels are worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from newsieve_training.data.audit_report import (
    EXPLAINED,
    AuditReport,
    Disagreement,
    SelfDisagreement,
)
from newsieve_training.reports.document import Block, Heading, Paragraph, Points, Table
from newsieve_training.reports.formatting import NONE, number, percent


def label_quality(audit: AuditReport, filter_reference: str) -> Sequence[Block]:
    """Returns the report on the labels of this filter."""
    return list(_blocks(audit, filter_reference))


def _blocks(audit: AuditReport, filter_reference: str) -> Iterator[Block]:
    yield Heading(f"Ground truth quality: {filter_reference}", 1)
    yield Paragraph(
        f"{audit.articles:,} articles with {audit.labels:,} labels. Verdict: {audit.verdict}."
    )
    yield Points(audit.reasons)
    yield Heading("Dimensions")
    yield Paragraph(
        f"{percent(audit.bins_populated)} of the integer bins are populated; the standard "
        f"deviation is {number(audit.standard_deviation)} on average."
    )
    yield Table(
        ("dimension", "mean", "deviation", "bins", *map(str, range(11))),
        [
            (
                name,
                number(item.mean),
                number(item.standard_deviation),
                percent(item.bins_populated),
                *map(str, item.histogram),
            )
            for name, item in audit.dimensions.items()
        ],
    )
    yield from _structure(audit)
    yield from _shares(audit)
    yield from _noise(audit)
    yield Heading("Odd labels")
    if not audit.outliers:
        yield Paragraph("None stands out.")
        return
    yield Table(
        ("article", "distance", "scores", "link"),
        [
            (
                item.id,
                number(item.distance),
                ", ".join(f"{value:g}" for value in item.scores.values()),
                item.url or NONE,
            )
            for item in audit.outliers
        ],
    )


def _structure(audit: AuditReport) -> Iterator[Block]:
    names = list(audit.correlations)
    yield Heading("How many dimensions there are")
    yield Paragraph(
        f"{audit.dimensions_really} principal components explain {EXPLAINED:.0%} of the variance "
        f"of {len(names)} dimensions; the participation ratio is "
        f"{number(audit.participation_ratio)}. Shares: {', '.join(map(percent, audit.components))}."
    )
    yield Table(
        ("correlation", *map(str, range(1, len(names) + 1))),
        [
            (f"{row} {name}", *(f"{audit.correlations[name][other]:.2f}" for other in names))
            for row, name in enumerate(names, 1)
        ],
    )


def _shares(audit: AuditReport) -> Iterator[Block]:
    yield Heading("Tiers, oracles, languages")
    for kind, counts in (
        ("tiers", audit.tiers),
        ("oracles", audit.oracles),
        ("languages", audit.languages),
        ("content rules", audit.content_rules),
    ):
        if counts:
            yield Table(
                (kind, "articles", "share"),
                [
                    (name or "unnamed", f"{count:,}", percent(count / audit.articles))
                    for name, count in counts.items()
                ],
            )
    if audit.labelled is None:
        yield Paragraph("No label says when it was made.")
    else:
        yield Paragraph(f"Labelled from {audit.labelled.first} to {audit.labelled.last}.")


def _noise(audit: AuditReport) -> Iterator[Block]:
    yield Heading("How far oracles are from themselves and each other")
    pairs: dict[str, SelfDisagreement | Disagreement] = {
        **{name or "unnamed": item for name, item in audit.self_disagreement.items()},
        "different oracles": audit.disagreement_of_oracles,
    }
    columns = ("mean_difference", "standard_error", "noise_floor", "noise_floor_if_normal")
    yield Table(
        ("labels of", "pairs", *(column.replace("_", " ") for column in columns)),
        [
            (name, str(item.pairs), *(number(getattr(item, column, None)) for column in columns))
            for name, item in pairs.items()
        ],
    )
    yield Paragraph(
        "Of articles that were labelled twice; no figures for few pairs. Noise floor: the least "
        "mean absolute error that a student can have on such articles, and that if errors are "
        "normal."
    )
    known = {name: item.dimensions for name, item in pairs.items() if item.dimensions}
    if known:
        yield Table(
            ("dimension, mean difference", *known),
            [
                (name, *(number(differences[name]) for differences in known.values()))
                for name in audit.dimensions
            ],
        )
