"""The engine beside its limits: what the device can multiply, bare forward passes, the engine.

    python -m benchmarks.engine --student FOLDER [--articles FILE]      a student that ships, a CPU
    python -m benchmarks.engine [--shape qwen2.5-1.5b] [--device cuda]  random weights, a card

All ways take turns for `--rounds` rounds over the same texts. It needs torch, transformers, peft,
tokenizers, safetensors and numpy; of newsieve the source alone, with worker/ and schemas/ on
PYTHONPATH. Peers (a plain transformers loop, sentence-transformers, ONNX Runtime) run beside a
student that ships, in environments of their own, unless `--no-peers` says otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import peft
import torch
import transformers

from benchmarks.engine_cases import (
    SAMPLE, Corpus, Models, made_corpus, random_models, real_corpus, shipped_models,
)  # fmt: skip
from benchmarks.engine_measure import (
    BareEngine, batches_of, products, score_bare, timed, tokenising_seconds,
)  # fmt: skip
from benchmarks.engine_variants import (
    Difference, Unavailable, chosen, difference, precisions, reference, scale_head, variants,
)  # fmt: skip
from newsieve.inference.capacity import flop_per_article
from newsieve.inference.device import choose_dtype, dtype_name
from tests.support.results import publish, spread

CPU_ARTICLES = 400
CARD_ARTICLES = 2_048
TERA = 1e12


@dataclass
class Row:
    """One line of the table: how it runs once, and how long each round took."""

    name: str
    dtype: torch.dtype
    run: Callable[[], float]
    is_bare: bool = True
    seconds: list[float] = field(default_factory=list)
    difference: Difference | None = None


def main() -> None:
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    models = (
        shipped_models(options.student) if options.student
        else random_models(options.shape, device)
    )  # fmt: skip
    multiplied = _products(models, device)
    lines = [_setting(options, device, models), *_product_table(multiplied)]
    limits = {dtype: max(rates.values()) for dtype, rates in multiplied.items()}
    for corpus in _corpora(options):
        lines += _measure(models, corpus, device, limits, options)
    name = "engine_" + re.sub(r"\W+", "_", _device_name(device).lower()).strip("_")
    publish("The engine beside its limits", lines, name if options.save else None)


def _options() -> argparse.Namespace:
    has_card = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", type=Path, help="a student's folder")
    parser.add_argument("--articles", type=Path, default=SAMPLE, help="for a student")
    parser.add_argument("--shape", default="qwen2.5-1.5b" if has_card else "tiny")
    parser.add_argument("--mean-tokens", type=int, nargs="+", default=[200, 350, 512])
    parser.add_argument("--count", type=int, default=CARD_ARTICLES if has_card else CPU_ARTICLES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cuda" if has_card else "cpu")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=has_card)
    parser.add_argument("--save", action="store_true", help="as engine_DEVICE.md")
    return parser.parse_args()


def _corpora(options: argparse.Namespace) -> list[Corpus]:
    if options.student is None:
        return [made_corpus(mean, options.count) for mean in options.mean_tokens]
    from newsieve.inference.manifest import read_manifest

    most = read_manifest(options.student).max_tokens
    file = options.student / "tokenizer.json"
    return [real_corpus(options.articles, options.count, file, most)]


def _measure(
    models: Models,
    corpus: Corpus,
    device: torch.device,
    limits: Mapping[torch.dtype, float],
    options: argparse.Namespace,
) -> list[str]:
    picked, expected = reference(models, corpus, device)
    if options.student is None:
        expected = expected * scale_head(models, expected)
    sample = [corpus.tokens[row] for row in picked]
    missing: list[str] = []
    with ExitStack() as stack:
        rows = _bare_rows(models, corpus, device, options, missing, (sample, expected))
        rows += _engine_rows(models, corpus, device, stack)
        if options.student is not None and not options.no_peers:
            from benchmarks.peers import start_peers

            peers = start_peers(stack, models, options.student, corpus)
            for peer in peers:
                row = Row(peer.name, torch.float32, peer.run, is_bare=False)
                row.difference = difference(expected, peer.scores[picked])
                rows.append(row)
            missing += [f"{peer.name}: {peer.versions}." for peer in peers]
        for number in range(options.rounds):
            for row in rows:
                row.seconds.append(row.run())
                _say(f"{number + 1} {row.name}: {len(corpus.texts) / row.seconds[-1]:.1f}")
    tokenising = [1e6 * tokenising_seconds(corpus) / len(corpus.texts) for _ in range(3)]
    return [
        *_table(rows, models, corpus, limits),
        "",
        f"Tokenising costs {spread(tokenising, 0)} µs of CPU an article, on a thread of its own.",
        *("\n" + text for text in missing),
    ]


def _bare_rows(
    models: Models,
    corpus: Corpus,
    device: torch.device,
    options: argparse.Namespace,
    missing: list[str],
    judged: tuple[list[list[int]], object],
) -> list[Row]:
    rows = []
    sample, expected = judged
    for variant in variants(models, device, with_compiled=options.compiled):
        try:
            forward = variant.build()
            batches = batches_of([len(ids) for ids in corpus.tokens], forward)
            score_bare(forward, corpus.tokens, batches)  # warm
            scores = score_bare(forward, sample, batches_of(list(map(len, sample)), forward))
        except Exception as error:  # whatever a library makes of this device: the table says so
            kind = "" if isinstance(error, Unavailable) else f"{type(error).__name__}: "
            missing.append(f"Not measured: {variant.name} ({kind}{str(error).splitlines()[0]}).")
            continue

        def run(forward=forward, batches=batches) -> float:
            return timed(device, lambda: score_bare(forward, corpus.tokens, batches))

        dtype = torch.float32 if variant.name.endswith("fp32") else choose_dtype("auto", device)
        rows.append(Row(variant.name, dtype, run, difference=difference(expected, scores)))
    return rows


def _engine_rows(
    models: Models, corpus: Corpus, device: torch.device, stack: ExitStack
) -> list[Row]:
    rows = []
    for dtype in precisions(device):
        engine = BareEngine(chosen(models, device, dtype), corpus, device)
        stack.callback(engine.close)
        engine.score()
        name = f"**engine, text in, {dtype_name(dtype)}**"
        rows.append(Row(name, dtype, lambda e=engine: timed(device, e.score), is_bare=False))
    return rows


def _setting(options: argparse.Namespace, device: torch.device, models: Models) -> str:
    what = (
        f"The student in `{options.student.parent.parent.name}/{options.student.parent.name}`"
        if options.student
        else f"A student of the shape {options.shape} with random weights and a random adapter"
    )
    weights = models.shape().non_embedding_weights
    return (
        f"{what}: {weights:,} weights without embeddings. Device: {_device_name(device)}"
        + (f", {torch.get_num_threads()} threads" if device.type == "cpu" else "")
        + f"; torch {torch.__version__}, transformers {transformers.__version__}, peft "
        f"{peft.__version__}. {options.rounds} rounds in turn; medians, smallest and largest."
    )


def _products(models: Models, device: torch.device) -> dict[torch.dtype, dict[str, float]]:
    """What the device multiplies in each precision that a row is measured in."""
    budget = chosen(models, device, choose_dtype("auto", device)).budget_tokens
    return {dtype: products(models, device, dtype, budget) for dtype in precisions(device)}


def _product_table(multiplied: Mapping[torch.dtype, Mapping[str, float]]) -> list[str]:
    names = [dtype_name(dtype) for dtype in multiplied]
    lines = ["", "| product | " + " | ".join(f"TFLOP/s in {name}" for name in names) + " |"]
    lines.append("|---" * (1 + len(names)) + "|")
    for label in next(iter(multiplied.values())):
        rates = " | ".join(f"{rates[label] / TERA:.3g}" for rates in multiplied.values())
        lines.append(f"| {label} | {rates} |")
    return lines


def _table(
    rows: list[Row], models: Models, corpus: Corpus, limits: Mapping[torch.dtype, float]
) -> list[str]:
    shape = models.shape()
    work = sum(flop_per_article(shape, len(ids)) for ids in corpus.tokens)
    best: dict[torch.dtype, float] = {}
    for row in rows:
        if row.is_bare:
            rate = 1 / statistics.median(row.seconds)
            best[row.dtype] = max(best.get(row.dtype, 0.0), rate)
    bounds = ", ".join(
        f"{limit * len(corpus.texts) / work:.1f} articles/s in {dtype_name(dtype)}"
        for dtype, limit in limits.items()
    )
    lines = [
        "",
        f"## {len(corpus.texts):,} articles of {corpus.name}, {corpus.mean:.0f} tokens on average",
        "",
        f"The bound, useful tokens' products at the fastest rate above: {bounds}.",
        "",
        "| | articles/s | useful tokens/s | useful TFLOP/s | % of the bound | % of the best bare "
        "forward | largest difference | rank correlation |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = statistics.median(row.seconds)
        rates = [len(corpus.texts) / value for value in row.seconds]
        off = row.difference
        lines.append(
            f"| {row.name} | {spread(rates)} | {corpus.count / seconds:,.0f} | "
            f"{work / seconds / TERA:.3g} | {100 * work / seconds / limits[row.dtype]:.0f} | "
            f"{100 / seconds / best[row.dtype]:.0f} | "
            + (f"{off.largest:.2g} | {off.rank_correlation:.4f} |" if off else "| |")
        )
    return [
        *lines,
        "",
        "Differences are from the unmerged fp32 model of transformers and PEFT, one article a "
        "call, in points of the scale; the rank correlation is the worst dimension's. "
        "Percentages are of what the row's own precision allows.",
    ]


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
