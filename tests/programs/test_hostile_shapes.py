"""Hostile records cost the loop's thread no more than long ones: small sizes of what
`benchmarks.hostile_shapes` tries at 4 MB."""

from __future__ import annotations

import pytest

from newsieve.programs.scoring.path import ScoringPath
from tests.support.hostile_path import cpu_seconds, hostile_path, size_of
from tests.support.hostile_shapes import SHAPES

SMALL_BYTES, LARGE_BYTES = 40_000, 160_000
# Three times what is promised, on a machine that has other work; and what any record costs.
SECONDS_PER_BYTE, SECONDS_PER_RECORD = 150e-9, 0.003
GROWTH = 1.75  # of the cost of a byte, at most


@pytest.fixture(scope="module")
def path() -> ScoringPath:
    return hostile_path()


@pytest.mark.parametrize("name", SHAPES)
def test_a_hostile_record_costs_by_its_size_alone(path: ScoringPath, name: str) -> None:
    """Whatever it is made of; and no more a byte where there are more bytes."""
    small, large = SHAPES[name](SMALL_BYTES), SHAPES[name](LARGE_BYTES)
    cpu_seconds(path, small)  # makes tables

    short = min(cpu_seconds(path, small) for _ in range(3))
    long = min(cpu_seconds(path, large) for _ in range(3))

    assert long <= SECONDS_PER_RECORD + SECONDS_PER_BYTE * size_of(large)
    assert long <= SECONDS_PER_RECORD + GROWTH * short * size_of(large) / size_of(small)
