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
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch

from benchmarks.engine_cases import (
    SAMPLE,
    Corpus,
    Models,
    made_corpus,
    random_models,
    real_corpus,
    shipped_models,
)
from benchmarks.engine_measure import (
    BareEngine,
    Products,
    batches_of,
    score_bare,
    timed,
    tokenising_seconds,
    whole_texts,
)
from benchmarks.engine_table import Row, corpus_table, product_table, setting
from benchmarks.engine_variants import (
    Built,
    build_all,
    build_chosen,
    difference,
    precisions,
    reference,
    scale_head,
)
from newsieve.inference.device import dtype_name
from tests.support.results import publish, spread

CPU_ARTICLES = 400
CARD_ARTICLES = 1_024
WARM_UP_BATCHES = 4
WARM_UP_ARTICLES = 64


def main() -> None:
    options = _options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    corpora = _corpora(options)
    if options.student:
        models = shipped_models(options.student)
    else:
        models = random_models(options.shape, device)
        scale_head(models, reference(models, corpora[0], device)[1])
    engines = [build_chosen(models, corpora[0], device, dtype) for dtype in precisions(device)]
    built, missing = build_all(models, corpora[0], device, with_compiled=options.compiled)
    budget = engines[0].forward.budget_tokens
    products = Products(models, device, precisions(device), budget, options.product_seconds)
    lines = []
    for corpus in corpora:
        lines += _measure(models, corpus, device, built, engines, products, options)
    lines = [*setting(options, device, models), *product_table(products), *lines, *missing]
    name = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
    name = "engine_" + re.sub(r"\W+", "_", name.lower()).strip("_")
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
    parser.add_argument("--product-seconds", type=float, default=0.3, help="for each product")
    parser.add_argument("--device", default="cuda" if has_card else "cpu")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--compiled", action=argparse.BooleanOptionalAction, default=has_card)
    parser.add_argument("--save", action="store_true", help="as engine_DEVICE.md")
    return parser.parse_args()


def _corpora(options: argparse.Namespace) -> list[Corpus]:
    if options.student is None:
        return [made_corpus(mean, options.count) for mean in options.mean_tokens]
    return [real_corpus(options.articles, options.count, options.student)]


def _measure(
    models: Models,
    corpus: Corpus,
    device: torch.device,
    built: Sequence[Built],
    engines: Sequence[Built],
    products: Products,
    options: argparse.Namespace,
) -> list[str]:
    """Let all take turns over one corpus, and return its part of the report."""
    picked, expected = reference(models, corpus, device)
    sample = [corpus.tokens[row] for row in picked]
    peers: list[Any] = []  # what they need is not on a card's machine
    remarks: list[str] = []
    with ExitStack() as stack:
        rows = []
        for way in (*built, *engines):
            row = _bare_row(way, corpus, device)
            scores = score_bare(way.forward, sample, batches_of(sample, way.forward))
            row.difference = difference(expected, scores)
            rows.append(row)
        rows += [_engine_row(way, corpus, device, stack) for way in engines]
        rows.append(_engine_row(engines[-1], corpus, device, stack, filters=2))
        if options.student is not None and not options.no_peers:
            from benchmarks.peers import start_peers

            peers = start_peers(stack, models, options.student, corpus)
            rows += [Row(peer.name, torch.float32, peer.run) for peer in peers]
            remarks += [line for peer in peers for line in ("", f"{peer.name}: {peer.versions}.")]
        for number in range(options.rounds):
            products.measure()
            for row in rows:
                row.seconds.append(row.run())
                _say(f"{number + 1} {row.name}: {len(corpus.texts) / row.seconds[-1]:.1f}")
    for row, peer in zip(rows[len(rows) - len(peers) :], peers, strict=True):
        row.difference = difference(expected, peer.scores[picked])
    cut, whole = (
        [1e6 * tokenising_seconds(corpus, encode) / len(corpus.texts) for _ in range(3)]
        for encode in (corpus.tokeniser.encode, whole_texts(corpus))
    )
    return [
        *corpus_table(rows, models.shape(), corpus, products.limits),
        "",
        f"Tokenising costs {spread(cut, 0)} µs of CPU an article, on a thread of its own; "
        f"{spread(whole, 0)} without cutting texts first.",
        *remarks,
    ]


def _bare_row(way: Built, corpus: Corpus, device: torch.device) -> Row:
    batches = batches_of(corpus.tokens, way.forward)
    for rows in batches[-WARM_UP_BATCHES:]:
        way.forward([corpus.tokens[row] for row in rows])
    return Row(
        way.name,
        way.dtype,
        lambda: timed(device, lambda: score_bare(way.forward, corpus.tokens, batches)),
        is_bare=True,
    )


def _engine_row(
    way: Built, corpus: Corpus, device: torch.device, stack: ExitStack, filters: int = 1
) -> Row:
    engine = BareEngine([way.forward] * filters, corpus, device)
    stack.callback(engine.close)
    engine.score(WARM_UP_ARTICLES)
    asked = "" if filters == 1 else f" for {filters} filters"
    name = f"**engine{asked}, text in, {dtype_name(way.dtype)}**"
    return Row(name, way.dtype, lambda: timed(device, engine.score))


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
