"""The quality gate: what keeps a student from being shipped, said in words."""

from __future__ import annotations

from typing import Any

import pytest

from newsieve_training.evaluation.quality_gate import gate_failures
from newsieve_training.evaluation.results import (
    DimensionQuality,
    Quality,
)
from newsieve_training.pipeline.recipe import Gate


def errors_of(name: str, mae: float) -> dict[str, DimensionQuality]:
    interval = (mae, mae)
    return {
        name: DimensionQuality(mae=mae, mae_interval=interval, rmse=mae, bias=0.0, spearman=None)
    }


GOOD = Quality(
    articles=100,
    mae=1.0,
    mae_interval=(0.9, 1.1),
    rmse=1.3,
    bias=0.0,
    spearman=0.7,
    spearman_interval=(0.6, 0.8),
    dimensions=errors_of("agency", 0.9) | errors_of("wonder", 1.1),
    tier_agreement=0.8,
    tier_agreement_interval=(0.7, 0.9),
    tier_kappa=0.5,
    tier_kappa_interval=(0.4, 0.6),
    tier_majority=0.6,
    surfaced_agreement=0.9,
    surfaced_agreement_interval=(0.8, 1.0),
    surfaced_kappa=0.6,
    surfaced_kappa_interval=(0.5, 0.7),
    surfaced_majority=0.7,
    tiers={},
    shuffled_mae=2.5,
)


def with_mae(mae: float) -> Quality:
    return GOOD.model_copy(update={"mae": mae})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"mae": 1.3}, "mean absolute error 1.3 above 1.2"),
        ({"dimensions": errors_of("wonder", 1.25)}, "mean absolute error of wonder 1.25 above 1.2"),
        ({"spearman": 0.5}, "spearman 0.5 below 0.6"),
        ({"spearman": None}, "spearman None below 0.6"),
        ({"tier_agreement": 0.6}, "tier agreement 0.6 below 0.7"),
        ({"surfaced_agreement": 0.1}, None),
    ],
)
def test_the_gate_names_what_was_missed(changes: dict[str, Any], complaint: str | None) -> None:
    """A limit that the recipe does not set does not count."""
    gate = Gate(mae=1.2, dimension_mae=1.2, spearman=0.6, tier_agreement=0.7)

    found = gate_failures(gate, GOOD.model_copy(update=changes), {"tf_idf": with_mae(2.0)}, None)

    assert found == ([complaint] if complaint else [])


def test_a_student_that_a_baseline_beats_is_none() -> None:
    """Whatever its gate says."""
    baselines = {"tf_idf": with_mae(0.9), "frozen_base": with_mae(1.1)}

    assert gate_failures(Gate(mae=1.2), GOOD, baselines, None) == [
        "TF-IDF and ridge does better (0.9)"
    ]
