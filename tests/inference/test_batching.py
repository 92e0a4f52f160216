"""Which texts share a forward pass, and finding the one that breaks it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.inference.batching import OutOfMemory, bisect_failures, buckets, next_batch

LENGTHS = st.lists(st.integers(1, 512), max_size=60)


@given(LENGTHS, st.integers(64, 4_096))
def test_buckets_hold_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    """Padding included; a text longer than the budget is alone."""
    found = buckets(lengths, budget, is_padded=True)

    assert sorted(index for bucket in found for index in bucket) == list(range(len(lengths)))
    for bucket in found:
        padded = len(bucket) * max(lengths[index] for index in bucket)
        assert padded <= budget or len(bucket) == 1


@given(LENGTHS, st.integers(512, 4_096))
def test_buckets_waste_little(lengths: list[int], budget: int) -> None:
    """Sorted by length: within a bucket no text is shorter than any of a later one."""
    flat = [
        lengths[index] for bucket in buckets(lengths, budget, is_padded=True) for index in bucket
    ]

    assert flat == sorted(lengths, reverse=True)


@given(lengths=LENGTHS.filter(len), budget=st.integers(64, 4_096), is_padded=st.booleans())
def test_the_next_batch_has_the_oldest_text_and_is_within_the_budget(
    *, lengths: list[int], budget: int, is_padded: bool
) -> None:
    """No text waits for ever; one that is longer than the budget is alone."""
    chosen = next_batch(lengths, budget, is_padded=is_padded)

    assert 0 in chosen
    assert len(set(chosen)) == len(chosen)
    sizes = [lengths[index] for index in chosen]
    assert (max(sizes) * len(sizes) if is_padded else sum(sizes)) <= budget or len(sizes) == 1


@given(st.lists(st.integers(20, 512), min_size=150, max_size=200))
def test_a_row_without_padding_is_nearly_full(lengths: list[int]) -> None:
    """Whatever is left over is longer than the room that is left."""
    chosen = next_batch(lengths, 16_896, is_padded=False)

    left = 16_896 - sum(lengths[index] for index in chosen)
    assert all(length > left for index, length in enumerate(lengths) if index not in chosen)


def test_best_fit_wastes_less_than_half_a_percent_of_a_row() -> None:
    """With lengths as news articles have them: first in, first out wastes half an article."""
    draw = np.random.default_rng(0)
    waste, fifo = [], []
    for _ in range(200):
        lengths = np.clip(draw.lognormal(5.7, 0.6, 128), 20, 512).astype(int).tolist()
        chosen = next_batch(lengths, 16_896, is_padded=False)
        waste.append(1 - sum(lengths[index] for index in chosen) / 16_896)
        taken = np.cumsum(lengths)
        fifo.append(1 - taken[taken <= 16_896][-1] / 16_896)

    assert np.mean(waste) < 0.005 < np.mean(fifo)


class Model:
    """A forward pass that fails on some rows."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.calls = 0
        self.scored: set[int] = set()

    def __call__(self, rows: Sequence[int]) -> None:
        self.calls += 1
        if self.bad & set(rows):
            raise ValueError(f"bad rows {sorted(self.bad & set(rows))}")
        self.scored |= set(rows)


@given(st.integers(1, 100), st.data())
def test_one_bad_row_costs_at_most_log2_n_plus_2_forwards_more(
    size: int, data: st.DataObject
) -> None:
    """And every neighbour is scored."""
    bad = data.draw(st.integers(0, size - 1))
    model = Model({bad})

    faults = bisect_failures(model, range(size), is_healthy=lambda: True)

    assert set(faults) == {bad}
    assert model.scored == set(range(size)) - {bad}
    assert model.calls - 1 <= math.ceil(math.log2(size)) + 2


@given(st.integers(1, 60), st.sets(st.integers(0, 59)))
def test_all_bad_rows_are_found_and_all_others_scored(size: int, bad: set[int]) -> None:
    """However many there are."""
    bad = {row for row in bad if row < size}
    model = Model(bad)

    faults = bisect_failures(model, range(size), is_healthy=lambda: True)

    assert set(faults) == bad
    assert model.scored == set(range(size)) - bad


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_device_that_fails_on_everything_blames_no_row(size: int) -> None:
    """A healthy text fails too: it is not the texts' fault."""
    model = Model(set(range(size)))

    with pytest.raises(ValueError, match="bad rows"):
        bisect_failures(model, range(size), is_healthy=lambda: False)


def test_a_passing_failure_blames_no_row() -> None:
    """A batch that works when it is tried again in parts has no bad row."""
    calls: list[int] = []

    def forward(rows: Sequence[int]) -> None:
        calls.append(len(rows))
        if len(calls) == 1:
            raise ValueError("once")

    assert bisect_failures(forward, range(8), is_healthy=lambda: True) == {}
    assert len(calls) - 1 <= math.ceil(math.log2(8)) + 1


@given(st.integers(2, 64), st.sets(st.integers(0, 20), max_size=4))
def test_failures_that_pass_blame_no_row(size: int, failing: set[int]) -> None:
    """Whichever passes they are: a row that passes alone is not blamed for others' failures."""
    calls: list[int] = []
    scored: set[int] = set()

    def forward(rows: Sequence[int]) -> None:
        calls.append(len(rows))
        if len(calls) - 1 in failing and len(rows) > 1:
            raise ValueError("passing")
        scored.update(rows)

    assert bisect_failures(forward, range(size), is_healthy=lambda: True) == {}
    assert scored == set(range(size))


@given(st.integers(1, 64), st.integers(1, 8))
def test_out_of_memory_halves_the_batch_and_blames_nobody(size: int, fits: int) -> None:
    """Until it fits."""
    scored: set[int] = set()

    def forward(rows: Sequence[int]) -> None:
        if len(rows) > fits:
            raise OutOfMemory
        scored.update(rows)

    assert bisect_failures(forward, range(size), is_healthy=lambda: True) == {}
    assert scored == set(range(size))


@pytest.mark.parametrize("is_healthy", [False, True])
def test_out_of_memory_for_a_single_text_is_the_devices_failure(*, is_healthy: bool) -> None:
    """Also when a harmless text fits: a record is not to blame for what a device lacks."""

    def forward(rows: Sequence[int]) -> None:
        if 3 in rows:
            raise OutOfMemory

    with pytest.raises(OutOfMemory):
        bisect_failures(forward, range(4), is_healthy=lambda: is_healthy)


def test_a_device_that_dies_in_the_middle_blames_no_row() -> None:
    """What it did before says nothing of what it does now."""
    calls: list[int] = []

    def forward(rows: Sequence[int]) -> None:
        calls.append(len(rows))
        if len(calls) == 1:
            raise OutOfMemory
        if len(calls) > 2:
            raise ValueError("device lost")

    with pytest.raises(ValueError, match="device lost"):
        bisect_failures(forward, range(8), is_healthy=lambda: len(calls) <= 2)
