"""Finds the fastest way to run rows of the fixed shapes on this GPU, by trying.

A row is run kernel by kernel, or by code that torch compiled for its shape, and either of them can
be recorded once and played back whole (a CUDA graph), so that no Python stands between kernels. A
way is taken only if it is faster and gives the scores of the plain way; one that fails costs a
warning. The clock and the ways are given, so that the decision can be tested without a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch

from newsieve.inference.forward import Scores
from newsieve.inference.packed_forward import PackedForward, Row, RunRow
from newsieve.inference.packed_layout import RowShape, synthetic_batch
from newsieve.inference.packing_check import vocabulary_of

LEAST_GAIN: Final = 0.02  # of the time: less is noise
# No way is begun later. Compiling one shape takes about a minute, and less when its code was kept:
# what is left out now is compiled at a later start.
LIMIT_SECONDS: Final = 180.0
# In score points, against the plain way in the same precision.
MOST_MEAN_ERROR: Final = 0.03
MOST_P99_ERROR: Final = 0.10
MOST_ERROR: Final = 0.2
MOST_BIAS: Final = 0.01  # of one dimension
COMPARED_TOKENS: Final = 33_792  # of each shape: some hundred articles tell a bias from chance


class Way(NamedTuple):
    """One way to run rows: its name, and how to make ready for rows of one shape."""

    name: str
    build: Callable[[Row], RunRow]


@dataclass(frozen=True, slots=True)
class Sample:
    """Full rows of one of the fixed shapes, and what the plain way makes of them."""

    shape: RowShape
    rows: Sequence[Row]
    counts: Sequence[int]  # of articles that are no filler
    expected: Scores

    def scores(self, run: RunRow) -> Scores:
        """Score the articles of all rows."""
        return _scores(run, self.rows, self.counts)


def choose_runs(
    forward: PackedForward,
    ways: Sequence[Way],
    seconds: Callable[[RunRow, Row], float],
    warn: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> str | None:
    """Give the forward pass the fastest way for each of its fixed shapes; return the way's name.

    `seconds` measures how long a row takes. The largest shape decides, as full rows are what a busy
    device runs. Whatever fails leaves the plain way, and is told to `warn` in one message.
    """
    until = clock() + LIMIT_SECONDS
    problems: list[str] = []
    with torch.no_grad():
        *smaller, largest = _samples(forward)
        best = _fastest(forward, ways, largest, seconds, problems, lambda: clock() < until)
        if best is not None:
            way, forward.runs[largest.shape] = best
            for sample in reversed(smaller):
                run = _built(way, sample, problems) if clock() < until else None
                if run is not None:
                    forward.runs[sample.shape] = run
    if problems:
        warn("; ".join(problems))
    return best[0].name if best is not None else None


def _fastest(
    forward: PackedForward,
    ways: Sequence[Way],
    sample: Sample,
    seconds: Callable[[RunRow, Row], float],
    problems: list[str],
    has_time: Callable[[], bool],
) -> tuple[Way, RunRow] | None:
    """The fastest way of those that are exact, unless the plain one is."""
    best = None
    shortest = seconds(forward.run, sample.rows[0])
    for way in ways:
        run = _built(way, sample, problems) if has_time() else None
        if run is None:
            continue
        took = seconds(run, sample.rows[0])
        if took < shortest * (1 - LEAST_GAIN):
            best, shortest = (way, run), took
    return best


def _built(way: Way, sample: Sample, problems: list[str]) -> RunRow | None:
    """Make a way ready for rows of the sample's shape, unless that fails or scores differ."""
    try:
        run = way.build(sample.rows[0])
        problem = difference(sample.expected, sample.scores(run))
    except Exception as error:  # noqa: BLE001 - whatever a compiler or a driver raises
        problem = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    if problem is None:
        return run
    problems.append(f"rows of {sample.shape.tokens:,} tokens are not {way.name}: {problem}")
    return None


def difference(expected: Scores, scores: Scores) -> str | None:
    """What makes the scores differ by more than rounding, if anything does."""
    signed = scores - expected
    errors = np.abs(signed)
    measured = {
        "mean error": (errors.mean(), MOST_MEAN_ERROR),
        "99th percentile of errors": (np.quantile(errors, 0.99), MOST_P99_ERROR),
        "largest error": (errors.max(), MOST_ERROR),
        "bias": (np.abs(signed.mean(axis=0)).max(), MOST_BIAS),
    }
    for name, (value, limit) in measured.items():
        if not value <= limit:  # also when it is not a number
            return f"the {name} of its scores is {value:.3f}, more than {limit:.3f}"
    return None


def full_batch(forward: PackedForward, tokens: int, seed: int = 0) -> list[list[int]]:
    """Make articles of random ids that fill a row of so many tokens."""
    generator = np.random.default_rng(seed)
    return synthetic_batch(tokens, forward.longest, vocabulary_of(forward), generator)


def _samples(forward: PackedForward) -> list[Sample]:
    """Full rows of each of the fixed shapes, smallest first."""
    samples = []
    for shape in forward.shapes:
        number = -(-COMPARED_TOKENS // shape.tokens)
        batches = [full_batch(forward, shape.tokens, seed) for seed in range(number)]
        rows = [forward.stage(batch)[0] for batch in batches]
        counts = [len(batch) for batch in batches]
        samples.append(Sample(shape, rows, counts, _scores(forward.run, rows, counts)))
    return samples


def _scores(run: RunRow, rows: Sequence[Row], counts: Sequence[int]) -> Scores:
    return np.concatenate(
        [run(row)[:count].double().cpu().numpy() for row, count in zip(rows, counts, strict=True)]
    )
