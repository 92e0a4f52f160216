"""Chooses how rows of the fixed shapes are executed on this GPU, by trying.

Kernels are launched one by one (eager), or by code that torch compiled for the shape; either can be
captured once as a CUDA graph and replayed whole, so that no Python stands between kernels. A mode
is chosen only if it is faster and gives the eager mode's scores; one that fails costs a warning.
The modes and the clock are given, so that the choice can be tested without a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch

from newsieve.inference.forward import Scores
from newsieve.inference.packed_forward import PackedForward, Row, RowRunner
from newsieve.inference.packed_layout import RowShape, synthetic_batch
from newsieve.inference.packing_check import vocabulary_of

LEAST_GAIN: Final = 0.02  # of the time: less is noise
# No mode is begun later, nor are rows to compare. Compiling one shape takes about a minute, and
# less when its code was kept: what is left out now is compiled at a later start.
LIMIT_SECONDS: Final = 180.0
# In score points, against the eager mode in the same precision.
MOST_MEAN_ERROR: Final = 0.03
MOST_P99_ERROR: Final = 0.10
MOST_ERROR: Final = 0.2
# Of one dimension. 33,792 tokens are about 83 articles. A mode whose errors are as large as the
# mean allows has a standard error of 0.004 here, so that one of its eight dimensions exceeds the
# limit by chance in one start of nine; at a third of that mean, never. Such a start loses speed and
# no accuracy, which is why the limit is not widened by the standard error.
MOST_BIAS: Final = 0.01
COMPARED_TOKENS: Final = 33_792  # of each shape
MOST_COMPARED_ROWS: Final = 64  # of each shape, however few tokens `student.budget_tokens` allows


class ExecutionMode(NamedTuple):
    """A mode's name, and how it is made ready for rows of one shape."""

    name: str
    build: Callable[[Row], RowRunner]


@dataclass(frozen=True, slots=True)
class Sample:
    """Full rows of one of the fixed shapes, and the scores that the eager mode gives them."""

    shape: RowShape
    rows: Sequence[Row]
    counts: Sequence[int]  # of articles that are no filler
    expected: Scores

    def scores(self, runner: RowRunner) -> Scores:
        """Score the articles of all rows."""
        return _scores(runner, self.rows, self.counts)


def choose_execution(
    forward: PackedForward,
    modes: Sequence[ExecutionMode],
    seconds: Callable[[RowRunner, Row], float],
    warn: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Give the forward pass the fastest mode for each of its fixed shapes.

    `seconds` measures how long a row takes. The largest shape decides, as full rows are what a busy
    device runs. Whatever fails leaves the eager mode, and is told to `warn` in one message.
    """
    until = clock() + LIMIT_SECONDS
    problems: list[str] = []
    *smaller, largest = forward.shapes
    with torch.no_grad():
        sample = _sample(forward, largest)
        best = _fastest(forward, modes, sample, seconds, problems, lambda: clock() < until)
        if best is not None:
            mode, forward.runners[largest] = best
            for shape in reversed(smaller):
                if clock() >= until:
                    break
                runner = _built(mode, _sample(forward, shape), problems)
                if runner is not None:
                    forward.runners[shape] = runner
    if problems:
        warn("; ".join(problems))


def _fastest(
    forward: PackedForward,
    modes: Sequence[ExecutionMode],
    sample: Sample,
    seconds: Callable[[RowRunner, Row], float],
    problems: list[str],
    has_time: Callable[[], bool],
) -> tuple[ExecutionMode, RowRunner] | None:
    """The fastest of the modes that are exact, unless the eager one is."""
    best = None
    shortest = seconds(forward.run_eagerly, sample.rows[0])
    for mode in modes:
        runner = _built(mode, sample, problems) if has_time() else None
        if runner is None:
            continue
        took = seconds(runner, sample.rows[0])
        if took < shortest * (1 - LEAST_GAIN):
            best, shortest = (mode, runner), took
    return best


def _built(mode: ExecutionMode, sample: Sample, problems: list[str]) -> RowRunner | None:
    """Make a mode ready for rows of the sample's shape, unless that fails or scores differ."""
    try:
        runner = mode.build(sample.rows[0])
        problem = difference(sample.expected, sample.scores(runner))
    except Exception as error:  # noqa: BLE001 - whatever a compiler or a driver raises
        problem = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    if problem is None:
        return runner
    problems.append(f"rows of {sample.shape.tokens:,} tokens are not run {mode.name}: {problem}")
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


def _sample(forward: PackedForward, shape: RowShape) -> Sample:
    """Full rows of one of the fixed shapes, scored in the eager mode."""
    number = min(-(-COMPARED_TOKENS // shape.tokens), MOST_COMPARED_ROWS)
    batches = [full_batch(forward, shape.tokens, seed) for seed in range(number)]
    rows = [forward.stage(batch)[0] for batch in batches]
    counts = [len(batch) for batch in batches]
    return Sample(shape, rows, counts, _scores(forward.run_eagerly, rows, counts))


def _scores(runner: RowRunner, rows: Sequence[Row], counts: Sequence[int]) -> Scores:
    return np.concatenate(
        [
            runner(row)[:count].double().cpu().numpy()
            for row, count in zip(rows, counts, strict=True)
        ]
    )
