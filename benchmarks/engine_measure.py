"""Times what a device can multiply, bare forward passes, and the engine that the worker runs.

It knows neither which ways there are nor how the table looks.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.engine_cases import DIMENSIONS, Corpus, Models
from newsieve.inference.batching import next_batch
from newsieve.inference.forward import Forward, PendingScores, Scores
from newsieve.inference.micro_batcher import MOST_CONSIDERED, MicroBatcher

CARD_SIDE = 8_192  # of the square product that shows a device's ceiling
CPU_SIDE = 2_048
PRODUCT_SECONDS = 0.5  # for each size, repeated
BATCHES_ON_DEVICE = 2
SUBMITTED_ARTICLES = 128  # in one submission, as the worker's: worker.batch_articles
SUBMISSIONS = 2  # in flight, as the worker's: worker.batches_in_flight


def products(
    models: Models, device: torch.device, dtype: torch.dtype, tokens: int
) -> dict[str, float]:
    """FLOP/s of a large square product, and of each of the model's layers with so many tokens."""
    side = CARD_SIDE if device.type == "cuda" else CPU_SIDE
    found = {f"{side:,}³": product_rate(device, dtype, side, side, side)}
    layers = (m for m in models.merged.model.modules() if isinstance(m, nn.Linear))
    for inputs, outputs in sorted({(layer.in_features, layer.out_features) for layer in layers}):
        rate = product_rate(device, dtype, tokens, inputs, outputs)
        found[f"{tokens:,} × {inputs:,} × {outputs:,}"] = rate
    return found


def product_rate(
    device: torch.device, dtype: torch.dtype, rows: int, inputs: int, outputs: int
) -> float:
    """FLOP/s of one layer's product, the median of many."""
    left = torch.randn(rows, inputs, device=device).to(dtype)
    weight = torch.randn(outputs, inputs, device=device).to(dtype)
    nn.functional.linear(left, weight)
    seconds = []
    until = time.perf_counter() + PRODUCT_SECONDS
    while time.perf_counter() < until or len(seconds) < 3:
        seconds.append(timed(device, lambda: nn.functional.linear(left, weight)))
    return 2 * rows * inputs * outputs / statistics.median(seconds)


def timed(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds until the device has done the work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    since = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - since


def batches_of(lengths: list[int], forward: Forward) -> list[list[int]]:
    """Split texts as the engine does when all of them wait."""
    left = list(range(len(lengths)))
    found = []
    while left:
        seen = left[:MOST_CONSIDERED]
        picked = next_batch(
            [lengths[row] for row in seen], forward.budget_tokens, is_padded=forward.is_padded
        )
        found.append([seen[index] for index in picked])
        gone = set(found[-1])
        left = [row for row in left if row not in gone]
    return found


def score_bare(forward: Forward, tokens: list[list[int]], batches: list[list[int]]) -> Scores:
    """Run the forward pass alone over batches that are ready, two of them on the device."""
    scores = np.empty((len(tokens), DIMENSIONS))
    on_device: deque[tuple[list[int], PendingScores]] = deque()
    for rows in batches:
        on_device.append((rows, forward.submit([tokens[row] for row in rows])))
        if len(on_device) >= BATCHES_ON_DEVICE:
            done, pending = on_device.popleft()
            scores[done] = pending.result()
    for done, pending in on_device:
        scores[done] = pending.result()
    return scores


class BareEngine:
    """The engine that the worker runs, with a student that is nothing but its forward pass."""

    def __init__(self, forward: Forward, corpus: Corpus, device: torch.device) -> None:
        student: Any = SimpleNamespace(
            filter=SimpleNamespace(reference="bench/v1"),
            manifest=SimpleNamespace(dimensions=[str(number) for number in range(DIMENSIONS)]),
            device=str(device),
            tokeniser=corpus.tokeniser,
            forward=forward,
        )
        self._engine = MicroBatcher({"bench": student})
        self._texts = corpus.texts

    def score(self) -> Scores:
        """Score all texts, submitted as the worker submits them."""
        scores: list[Scores] = []
        in_flight: deque[Future[Any]] = deque()
        for start in range(0, len(self._texts), SUBMITTED_ARTICLES):
            texts = self._texts[start : start + SUBMITTED_ARTICLES]
            in_flight.append(self._engine.submit(texts, {"bench": range(len(texts))}))
            if len(in_flight) >= SUBMISSIONS:
                scores.append(in_flight.popleft().result()["bench"].scores)
        scores += [future.result()["bench"].scores for future in in_flight]
        return np.vstack(scores)

    def close(self) -> None:
        """End the engine's threads."""
        self._engine.close()


def tokenising_seconds(corpus: Corpus) -> float:
    """CPU seconds of one thread for all texts, submitted as the worker submits them."""
    since = time.process_time()
    for start in range(0, len(corpus.texts), SUBMITTED_ARTICLES):
        corpus.tokeniser.encode(corpus.texts[start : start + SUBMITTED_ARTICLES])
    return time.process_time() - since
