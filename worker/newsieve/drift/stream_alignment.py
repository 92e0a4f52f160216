"""Moves arrays of a snapshot from the streams it was written with to the streams of today.

A stream that is new gets a fill value, a stream that is gone is dropped, all others keep their
values bit by bit. Knows nothing of what the values mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def align(
    values: npt.NDArray[Any], then: Sequence[str], now: Sequence[str], fill: float, axis: int = 0
) -> npt.NDArray[Any]:
    """Return `values` with an axis moved from the names `then` to the names `now`."""
    if tuple(then) == tuple(now):
        return values
    shape = list(values.shape)
    shape[axis] = len(now)
    aligned = np.full(shape, fill, dtype=values.dtype)
    both = [(now.index(name), index) for index, name in enumerate(then) if name in now]
    to, source = (list(column) for column in zip(*both, strict=True)) if both else ([], [])
    np.moveaxis(aligned, axis, 0)[to] = np.moveaxis(values, axis, 0)[source]
    return aligned
