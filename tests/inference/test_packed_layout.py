"""Where articles stand in a packed row, and what fills it up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.inference.packed_layout import fixed_shapes, lay_out


@pytest.mark.parametrize("padding_id", [None, 1])
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_a_row_holds_its_articles_one_behind_the_other(
    padding_id: int | None, lengths: list[int]
) -> None:
    """Its shape is one of a few, the rest is filler of bearable length, and positions restart."""
    shapes = fixed_shapes(1_024)
    articles = [[7] * length for length in lengths]

    row = lay_out(articles, shapes, 60, padding_id)

    ends = row.offsets[1:]
    assert ends[: len(lengths)].tolist() == np.cumsum(lengths).tolist()
    assert (np.diff(row.offsets) >= 0).all() and (np.diff(row.offsets) <= 60).all()
    assert ends[-1] == row.shape.tokens
    if sum(lengths) <= 1_024 and len(lengths) <= 6:  # and 9 fillers for half a row
        assert row.shape in shapes
    first = 0 if padding_id is None else padding_id + 1
    starts = [0, *np.cumsum(lengths)[:-1].tolist()]
    for start, length in zip(starts, lengths, strict=True):
        positions = row.positions[0, start : start + length].tolist()
        assert positions == list(range(first, first + length))
