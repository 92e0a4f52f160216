"""Times what a device can multiply, bare forward passes, and the engine that the worker runs.

It knows neither which ways there are nor how the table looks.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from benchmarks.engine_cases import Corpus, Models
from newsieve.inference.batching import next_batch
from newsieve.inference.forward import Forward, PendingScores, Scores
from newsieve.inference.micro_batcher import MOST_CONSIDERED, MicroBatcher

CARD_SIDE = 8_192  # of the square product that shows a device's ceiling
CPU_SIDE = 2_048
FEWEST_PRODUCTS = 3
SUBMITTED_ARTICLES = 128  # in one submission, as the worker's: worker.batch_articles
SUBMISSIONS = 2  # in flight, as the worker's: worker.batches_in_flight


class Products:
    """How fast the device multiplies: a large square, and the model's own layers.

    It is measured in every round, since a device that is warm or shared multiplies slower.
    """

    def __init__(
        self,
        models: Models,
        device: torch.device,
        dtypes: Sequence[torch.dtype],
        tokens: int,
        seconds: float,
    ) -> None:
        """`tokens` is how many rows a layer's product has, those of a full batch; `seconds` is how
        long each product is repeated."""
        side = CARD_SIDE if device.type == "cuda" else CPU_SIDE
        layers = (m for m in models.merged.model.modules() if isinstance(m, nn.Linear))
        shapes = sorted({(layer.in_features, layer.out_features) for layer in layers})
        self._sizes = {f"{side:,} × {side:,} × {side:,}": (side, side, side)} | {
            f"{tokens:,} × {inputs:,} × {outputs:,}": (tokens, inputs, outputs)
            for inputs, outputs in shapes
        }
        self._device = device
        self._seconds = seconds
        self.rates: dict[torch.dtype, dict[str, list[float]]] = {
            dtype: {label: [] for label in self._sizes} for dtype in dtypes
        }

    def measure(self) -> None:
        """Measure all once more."""
        for dtype, rates in self.rates.items():
            for label, size in self._sizes.items():
                rates[label].append(product_rate(self._device, dtype, *size, self._seconds))

    @property
    def limits(self) -> dict[torch.dtype, float]:
        """The FLOP/s of the fastest product, by precision: what nothing can exceed."""
        return {
            dtype: max(rate for found in rates.values() for rate in found)
            for dtype, rates in self.rates.items()
        }


def product_rate(
    device: torch.device, dtype: torch.dtype, rows: int, inputs: int, outputs: int, seconds: float
) -> float:
    """FLOP/s of one layer's product, the median of many in so many seconds."""
    left = torch.randn(rows, inputs, device=device).to(dtype)
    weight = torch.randn(outputs, inputs, device=device).to(dtype)
    nn.functional.linear(left, weight)
    found: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(found) < FEWEST_PRODUCTS:
        found.append(timed(device, lambda: nn.functional.linear(left, weight)))
    return 2 * rows * inputs * outputs / statistics.median(found)


def timed(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds until the device has done the work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    since = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - since


def batches_of(tokens: Sequence[Sequence[int]], forward: Forward) -> list[list[int]]:
    """Split texts as the engine does when all of them wait."""
    left = list(range(len(tokens)))
    found = []
    while left:
        seen = left[:MOST_CONSIDERED]
        picked = next_batch(
            [len(tokens[row]) for row in seen], forward.budget_tokens, is_padded=forward.is_padded
        )
        found.append([seen[index] for index in picked])
        gone = set(found[-1])
        left = [row for row in left if row not in gone]
    return found


def score_bare(
    forward: Forward, tokens: Sequence[Sequence[int]], batches: Sequence[Sequence[int]]
) -> Scores:
    """Run the forward pass alone over batches that are ready, as many at a time as it takes."""
    scores: dict[int, Scores] = {}
    on_device: deque[tuple[Sequence[int], PendingScores]] = deque()

    def fetch() -> None:
        rows, pending = on_device.popleft()
        scores.update(zip(rows, pending.result(), strict=True))

    for rows in batches:
        on_device.append((rows, forward.submit([tokens[row] for row in rows])))
        if len(on_device) >= forward.batches_in_flight:
            fetch()
    while on_device:
        fetch()
    return np.stack([scores[row] for row in range(len(tokens))])


class BareEngine:
    """The engine that the worker runs, with students that are nothing but their forward pass."""

    def __init__(self, forwards: Sequence[Forward], corpus: Corpus, device: torch.device) -> None:
        students: dict[str, Any] = {
            str(number): SimpleNamespace(
                filter=SimpleNamespace(reference="bench/v1"),
                manifest=SimpleNamespace(dimensions=range(len(forward([[0]])[0]))),
                device=str(device),
                tokeniser=corpus.tokeniser,
                forward=forward,
            )
            for number, forward in enumerate(forwards)
        }
        self._engine = MicroBatcher(students)
        self._filters = list(students)
        self._texts = corpus.texts

    def score(self, most: int | None = None) -> None:
        """Score all texts, or the first, for each filter, submitted as the worker submits them."""
        in_flight: deque[Future[Any]] = deque()
        wanted = self._texts[:most]
        for start in range(0, len(wanted), SUBMITTED_ARTICLES):
            texts = wanted[start : start + SUBMITTED_ARTICLES]
            if len(in_flight) >= SUBMISSIONS:
                in_flight.popleft().result()
            rows = range(len(texts))
            in_flight.append(self._engine.submit(texts, dict.fromkeys(self._filters, rows)))
        for future in in_flight:
            future.result()

    def close(self) -> None:
        """End the engine's threads."""
        self._engine.close()


def tokenising_seconds(corpus: Corpus, encode: Callable[[list[str]], object]) -> float:
    """CPU seconds of one thread for all texts, submitted as the worker submits them."""
    since = time.process_time()
    for start in range(0, len(corpus.texts), SUBMITTED_ARTICLES):
        encode(corpus.texts[start : start + SUBMITTED_ARTICLES])
    return time.process_time() - since


def whole_texts(corpus: Corpus) -> Callable[[list[str]], object]:
    """The library's own way: encode all of a text, then truncate."""
    tokenizer = Tokenizer.from_file(str(corpus.tokenizer_file))
    tokenizer.enable_truncation(corpus.tokeniser.max_tokens)
    return tokenizer.encode_batch
