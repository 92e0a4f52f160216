"""Whether a student is good enough to ship. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from newsieve_training.evaluation.baselines import NAMES
from newsieve_training.pipeline.recipe import Gate

# Of metadata's `start`: that the student which the fit continues from is no stranger to the judges.
MAY_HAVE_SEEN: Final = "may_have_seen_the_judging_articles"
AT_LEAST: Final = (
    "spearman",
    "tier_agreement",
    "tier_kappa",
    "surfaced_agreement",
    "surfaced_kappa",
)


def gate_failures(
    gate: Gate,
    published: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    start: Mapping[str, Any] | None,
) -> list[str]:
    """What keeps a student from being shipped, in words.

    `published` and `baselines` are `metrics.quality` of the articles that judge: of the student's
    scores as they are published, and of each baseline. `start`: what its fit continued from.
    """
    failures = []
    if start is not None and start[MAY_HAVE_SEEN]:
        failures.append(
            "the student that it continues from may have been trained on the articles that judge "
            "(prepare with --extend the run that made it)"
        )
    if published["mae"] > gate.mae:
        failures.append(f"mean absolute error {published['mae']} above {gate.mae}")
    for name, found in published["dimensions"].items():
        if gate.dimension_mae is not None and found["mae"] > gate.dimension_mae:
            failures.append(
                f"mean absolute error of {name} {found['mae']} above {gate.dimension_mae}"
            )
    for name in AT_LEAST:
        wanted, found = getattr(gate, name), published[name]
        if wanted is not None and (found is None or found < wanted):
            failures.append(f"{name.replace('_', ' ')} {found} below {wanted}")
    for name, quality in baselines.items():
        if published["mae"] > quality["mae"]:
            failures.append(f"{NAMES[name]} does better ({quality['mae']})")
    return failures
