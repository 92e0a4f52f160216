"""What the engine's benchmark prints: its setting, the device's products, one table a corpus."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import peft
import torch
import transformers

from benchmarks.engine_cases import Corpus, Models
from benchmarks.engine_measure import Products
from benchmarks.engine_variants import Difference
from newsieve.inference.capacity import ModelShape, flop_per_article
from newsieve.inference.device import dtype_name
from tests.support.results import spread

TERA = 1e12


@dataclass
class Row:
    """One line of a table: how it runs once, and how many seconds each round took."""

    name: str
    dtype: torch.dtype
    run: Callable[[], float]
    is_bare: bool = False  # nothing but a forward pass over tokens
    seconds: list[float] = field(default_factory=list)
    difference: Difference | None = None


def setting(options: argparse.Namespace, device: torch.device, models: Models) -> list[str]:
    """Say which student runs on what, and by which libraries."""
    if options.student:
        what = f"The student of {options.student.parent.parent.name}"
    else:
        what = f"A student of the shape {options.shape}, its weights and its adapter random"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = f"the processor, {torch.get_num_threads()} threads"
    return [
        f"{what}: {models.shape().non_embedding_weights:,} weights without embeddings, on {where}. "
        f"torch {torch.__version__}, transformers {transformers.__version__}, peft "
        f"{peft.__version__}. {options.rounds} rounds in turn; medians, smallest and largest. "
        "Useful: padding is no work. Differences are from the unmerged fp32 model, one article a "
        "call, in points of the scale; the rank correlation is that of the worst dimension. "
        "Percentages are of what a row's own precision allows."
    ]


def product_table(products: Products) -> list[str]:
    """Return what the device multiplies, in each precision that a row is measured in."""
    names = [f"TFLOP/s in {dtype_name(dtype)}" for dtype in products.rates]
    lines = ["", f"| product | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for label in next(iter(products.rates.values())):
        found = [
            spread([rate / TERA for rate in rates[label]], 3) for rates in products.rates.values()
        ]
        lines.append(f"| {label} | {' | '.join(found)} |")
    return lines


def corpus_table(
    rows: Sequence[Row], shape: ModelShape, corpus: Corpus, limits: Mapping[torch.dtype, float]
) -> list[str]:
    """Return the table of one corpus."""
    work = sum(flop_per_article(shape, len(ids)) for ids in corpus.tokens)
    best: dict[torch.dtype, float] = {}
    for row in rows:
        if row.is_bare:
            seconds = statistics.median(row.seconds)
            best[row.dtype] = min(best.get(row.dtype, seconds), seconds)
    bounds = ", ".join(
        f"{limit * len(corpus.texts) / work:.1f} articles/s in {dtype_name(dtype)}"
        for dtype, limit in limits.items()
    )
    lines = [
        "",
        f"## {len(corpus.texts):,} articles of {corpus.name}, {corpus.mean:.0f} tokens on average",
        "",
        f"The bound, by the fastest of the products above: {bounds}.",
        "",
        "| | articles/s | useful tokens/s | useful TFLOP/s | % of the bound | % of the best bare "
        "forward | largest difference | rank correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = statistics.median(row.seconds)
        off = row.difference
        lines.append(
            f"| {row.name} | {spread([len(corpus.texts) / value for value in row.seconds])} | "
            f"{corpus.count / seconds:,.0f} | {work / seconds / TERA:.3g} | "
            f"{100 * work / seconds / limits[row.dtype]:.0f} | "
            f"{100 * best[row.dtype] / seconds:.0f} | "
            + (f"{off.largest:.2g} | {off.rank_correlation:.4f} |" if off else "| |")
        )
    return lines
