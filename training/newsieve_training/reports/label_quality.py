"""The audit as a report for people: what the labels are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from newsieve_training.reports.document import Block, Heading, Paragraph, Points, Table
from newsieve_training.reports.formatting import number, percent


def ground_truth(facts: Mapping[str, Any], filter_reference: str) -> Sequence[Block]:
    """`facts` as audit.json has them."""
    return list(_blocks(facts, filter_reference))


def _blocks(facts: Mapping[str, Any], filter_reference: str) -> Iterator[Block]:
    yield Heading(f"Ground truth quality: {filter_reference}", 1)
    yield Paragraph(
        f"{facts['articles']:,} articles with {facts['labels']:,} labels. Verdict: "
        f"{facts['verdict']}."
    )
    yield Points(facts["reasons"])
    yield Heading("Dimensions")
    yield Paragraph(
        f"{percent(facts['bins_populated'])} of the integer bins are populated; the standard "
        f"deviation is {number(facts['standard_deviation'])} on average."
    )
    yield Table(
        ("dimension", "mean", "deviation", "bins", *map(str, range(11))),
        [
            (
                name,
                number(item["mean"]),
                number(item["standard_deviation"]),
                percent(item["bins_populated"]),
                *(str(count) for count in item["histogram"]),
            )
            for name, item in facts["dimensions"].items()
        ],
    )
    yield from _structure(facts)
    yield from _shares(facts)
    yield from _noise(facts)
    yield Heading("Odd labels")
    if not facts["outliers"]:
        yield Paragraph("None stands out.")
        return
    yield Table(
        ("article", "distance", "scores", "link"),
        [
            (
                item["id"],
                number(item["distance"]),
                ", ".join(f"{value:g}" for value in item["scores"].values()),
                item["url"] or "–",
            )
            for item in facts["outliers"]
        ],
    )


def _structure(facts: Mapping[str, Any]) -> Iterator[Block]:
    names = list(facts["correlations"])
    yield Heading("How many dimensions there are")
    yield Paragraph(
        f"{facts['dimensions_really']} principal components explain nine tenths of the variance of "
        f"{len(names)} dimensions; the participation ratio is "
        f"{number(facts['participation_ratio'])}. "
        f"Shares: {', '.join(percent(share) for share in facts['components'])}."
    )
    yield Table(
        ("correlation", *map(str, range(1, len(names) + 1))),
        [
            (f"{at} {name}", *(f"{facts['correlations'][name][other]:.2f}" for other in names))
            for at, name in enumerate(names, 1)
        ],
    )


def _shares(facts: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("Tiers, oracles, languages")
    articles = facts["articles"]
    for what in ("tiers", "oracles", "languages", "content_rules"):
        if facts[what]:
            rows = [
                (k or "unnamed", f"{n:,}", percent(n / articles)) for k, n in facts[what].items()
            ]
            yield Table((what.replace("_", " "), "articles", "share"), rows)
    labelled = facts["labelled"]
    if labelled is None:
        yield Paragraph("No label says when it was made.")
    else:
        yield Paragraph(f"Labelled from {labelled['first']} to {labelled['last']}.")


def _noise(facts: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("How far oracles are from themselves and each other")
    by_oracle, others = facts["self_disagreement"], facts["disagreement_of_oracles"]
    found = {
        **{key or "unnamed": item for key, item in by_oracle.items()},
        "different oracles": others,
    }
    columns = ("mean_difference", "standard_error", "noise_floor", "noise_floor_if_normal")
    yield Table(
        ("labels of", "pairs", *(name.replace("_", " ") for name in columns)),
        [
            (name, str(item["pairs"]), *(number(item.get(column)) for column in columns))
            for name, item in found.items()
        ],
    )
    yield Paragraph(
        "Of articles that were labelled twice; no figures for few pairs. Noise floor: the least "
        "mean absolute error that a student can have on such articles, and that if errors are "
        "normal."
    )
    known = {name: item["dimensions"] for name, item in found.items() if "dimensions" in item}
    if known:
        yield Table(
            ("dimension, mean difference", *known),
            [
                (name, *(number(item[name]) for item in known.values()))
                for name in facts["dimensions"]
            ],
        )
