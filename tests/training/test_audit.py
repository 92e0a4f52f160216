"""audit: what is true of labels that were made to have it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from newsieve.filters.registry import Filter
from newsieve_training.data.audit import audit, audit_of
from newsieve_training.data.audit_report import AuditReport
from newsieve_training.data.label_aggregation import decided
from newsieve_training.pipeline.result_files import as_json
from newsieve_training.pipeline.run_folder import Run

Labels = Sequence[tuple[str, Sequence[int]]]


def article(number: int, labels: Labels, filter_: Filter) -> dict[str, Any]:
    names = filter_.definition.dimension_names
    mean = np.mean([scores for _, scores in labels], axis=0).tolist()
    return {
        "id": f"a{number}",
        "title": None,
        "url": f"https://example.org/{number}",
        "language": "en",
        "text": "text",
        "scores": dict(zip(names, mean, strict=True)),
        "labels": [
            {"oracle": oracle, "scored_at": f"2026-10-{1 + number % 20:02}T00:00:00Z", "scores": s}
            for oracle, s in labels
        ],
        "oracles": sorted({oracle for oracle, _ in labels}),
    }


def audited(filter_: Filter, every: Sequence[Labels]) -> AuditReport:
    rows = [article(number, labels, filter_) for number, labels in enumerate(every)]
    return audit_of(decided(rows, filter_), filter_, cross_validated=True)


def three_really(count: int, seed: int = 1) -> list[list[int]]:
    """Eight dimensions that are three, with a little noise."""
    chance = np.random.default_rng(seed)
    bases = chance.integers(0, 10, (count, 3))
    spread = bases[:, [0, 0, 0, 1, 1, 1, 2, 2]] + chance.integers(0, 2, (count, 8))
    return spread.clip(0, 10).tolist()


def test_eight_dimensions_that_are_really_three_are_said_aloud(sustainability: Filter) -> None:
    """By principal components; those that say the same are named."""
    report = audited(sustainability, [[("o", scores)] for scores in three_really(400)])

    assert report.dimensions_really == 3
    assert 2.5 < report.participation_ratio < 3.5
    text = " ".join(report.reasons)
    assert "8 dimensions are really 3" in text
    assert "climate_impact_potential and technical_credibility say the same" in text
    assert sum(report.components) == pytest.approx(1, abs=1e-3)


def test_histograms_count_labels_and_name_empty_bins(sustainability: Filter) -> None:
    """A dimension that never reaches the ends, and one that hardly varies."""
    scores = [[3 + n % 5, 5, *row[2:]] for n, row in enumerate(three_really(200))]

    report = audited(sustainability, [[("o", row)] for row in scores])

    first, second, *_ = report.dimensions.values()
    assert first.histogram == [0, 0, 0, 40, 40, 40, 40, 40, 0, 0, 0]
    assert first.empty_bins == [0, 1, 2, 8, 9, 10]
    assert any(
        "climate_impact_potential never is 0, 1, 2, 8, 9, 10" in text for text in report.reasons
    )
    assert any("technical_credibility hardly varies" in text for text in report.reasons)
    assert second.standard_deviation == 0


def test_an_oracles_distance_from_itself_is_the_noise_floor(sustainability: Filter) -> None:
    """Each oracle's own, apart from what different ones differ by."""
    chance = np.random.default_rng(4)
    every = []
    for scores in three_really(300):
        again = (np.array(scores) + chance.integers(-1, 2, 8)).clip(0, 10).tolist()
        other = (np.array(scores) + 3).clip(0, 10).tolist()
        every.append([("one", scores), ("one", again), ("two", other)])

    report = audited(sustainability, every)

    by_oracle, others = report.self_disagreement, report.disagreement_of_oracles
    one, two = by_oracle["one"], by_oracle["two"]
    assert (one.pairs, two.pairs, others.pairs) == (300, 0, 600)
    assert one.mean_difference == pytest.approx(2 / 3, abs=0.06)
    assert one.noise_floor == pytest.approx(one.mean_difference / 2, abs=1e-3)
    assert one.noise_floor_if_normal == pytest.approx(one.mean_difference / 2**0.5, abs=1e-3)
    assert two.noise_floor is None
    assert others.mean_difference > 2
    text = " ".join(report.reasons)
    assert "one, which labelled 100%, differs from itself by 0.6" in text
    assert "two, which labelled 100%, has 0 pairs of labels" in text


def test_an_odd_label_is_found(sustainability: Filter) -> None:
    """By its combination of scores, each of which is common."""
    scores = three_really(400)
    scores[17] = [9, 0, 9, 0, 9, 0, 9, 0]

    report = audited(sustainability, [[("o", row)] for row in scores])

    assert report.outliers[0].id == "a17"
    assert len(report.outliers) < 5


def test_labels_that_never_vary_have_no_dimension(sustainability: Filter) -> None:
    """And every figure stays a number."""
    report = audited(sustainability, [[("o", [5] * 8)]] * 120)

    assert (report.dimensions_really, report.participation_ratio) == (0, 0)
    json.dumps(as_json(report), allow_nan=False)


def test_too_few_labels_teach_nothing(sustainability: Filter) -> None:
    """The verdict says so."""
    report = audited(sustainability, [[("o", row)] for row in three_really(40)])

    assert report.verdict == "not usable"


def test_the_stage_writes_what_it_found(trained: Run) -> None:
    """With its verdict; once."""
    assert audit(trained)
    assert not audit(trained)

    report = AuditReport.read(trained.folder)
    assert report.verdict == "usable with reservations"
    assert report.dimensions_really == 1
    assert report.labelled.days_apart == 27
