"""Says whether a student is good enough to ship, and what it misses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from newsieve_training.evaluation.baselines import NAMES
from newsieve_training.evaluation.results import Quality
from newsieve_training.fit.metadata import WarmStart
from newsieve_training.pipeline.recipe import Gate

AT_LEAST: Final = (
    "spearman",
    "tier_agreement",
    "tier_kappa",
    "surfaced_agreement",
    "surfaced_kappa",
)


def gate_failures(
    gate: Gate,
    published: Quality,
    baselines: Mapping[str, Quality],
    start: WarmStart | None,
) -> list[str]:
    """Return what keeps a student from being shipped, in words.

    `published` is the quality of the student's published scores and `baselines` that of each
    baseline, all on the judging articles. `start` is what the student's fit continued from.
    """
    failures = []
    if start is not None and start.may_have_seen_the_judging_articles:
        failures.append(
            "the student that it continues from may have been trained on the articles that judge "
            "(prepare with --extend the run that made it)"
        )
    if published.mae > gate.mae:
        failures.append(f"mean absolute error {published.mae} above {gate.mae}")
    for name, dimension in published.dimensions.items():
        if gate.dimension_mae is not None and dimension.mae > gate.dimension_mae:
            failures.append(
                f"mean absolute error of {name} {dimension.mae} above {gate.dimension_mae}"
            )
    for name in AT_LEAST:
        wanted, reached = getattr(gate, name), getattr(published, name)
        if wanted is not None and (reached is None or reached < wanted):
            failures.append(f"{name.replace('_', ' ')} {reached} below {wanted}")
    for name, quality in baselines.items():
        if published.mae > quality.mae:
            failures.append(f"{NAMES[name]} does better ({quality.mae})")
    return failures
