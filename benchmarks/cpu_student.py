"""A CPU student end to end through Kafka, beside the same student in a plain transformers loop.

    python -m benchmarks.cpu_student --articles FILE [--records N] [--rounds N] [--threads N]

The filter is sustainability, which blocks nothing: every article goes through the model. What
tokenising costs on one thread stands apart.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer

from benchmarks.contest import Report, run_contender
from tests.support.raw_topic import SAMPLE, fill, readable
from tests.support.results import publish, spread
from newsieve.inference.manifest import TOKENIZER, read_manifest
from newsieve.inference.tokenize import Tokeniser
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.config import Cluster
from tests.support.filters import load

FILTER = "sustainability"
CHUNK = 128
LONGEST = "transformers, batch 16, padded to the longest"
FIXED = "transformers, batch 16, padded to 512"
FP32 = "newsieve worker, fp32"
BF16 = "newsieve worker, bf16"
TWO = "newsieve worker, two filters, fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, default=SAMPLE)
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--save")
    options = parser.parse_args()
    found: dict[str, list[Report]] = {}
    with find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker:
        cluster = Cluster(broker.bootstrap_servers, {})
        prefix = fill(cluster, options.articles, options.records, (FILTER, "uplifting"))
        for _ in range(options.rounds):
            for name, script, topic, out in _contending(options, prefix):
                report = run_contender(script, cluster, topic, out, options.records)
                found.setdefault(name, []).append(report)
                sys.stderr.write(f"{name}: {report}\n")
    lines = [*_table(found, options), _tokenising(options)]
    publish("A CPU student end to end", lines, options.save)


def _contending(options: argparse.Namespace, prefix: str) -> list[tuple[str, str, str, str]]:
    file, raw, threads = str(options.articles), f"{prefix}.raw", options.threads
    return [
        (LONGEST, "student_loop.py", file, f"{FILTER}:longest:{threads}"),
        (FIXED, "student_loop.py", file, f"{FILTER}:512:{threads}"),
        (FP32, "student_worker.py", raw, f"{FILTER}:fp32:{threads}"),
        (BF16, "student_worker.py", raw, f"{FILTER}:bf16:{threads}"),
        (TWO, "student_worker.py", raw, f"{FILTER}+uplifting:fp32:{threads}"),
    ]


def _table(found: dict[str, list[Report]], options: argparse.Namespace) -> list[str]:
    rates = {name: [r["records"] / r["wall_seconds"] for r in runs] for name, runs in found.items()}
    lines = [
        f"{options.records} articles of `{options.articles.name}`, {options.threads} threads, "
        f"{options.rounds} rounds in turn; medians, smallest and largest.",
        "",
        "| | articles/s | times the first | times the second | peak MiB |",
        "|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        rate = statistics.median(rates[name])
        lines.append(
            f"| {name} | {spread(rates[name])} | {rate / statistics.median(rates[LONGEST]):.2f} | "
            f"{rate / statistics.median(rates[FIXED]):.2f} | "
            f"{spread([r['peak_mib'] for r in runs], 0)} |"
        )
    loading = [r["load_seconds"] for r in found[FP32]]
    return [
        *lines,
        "",
        f"Student loaded, merged, warm and held to its canaries: {spread(loading)} s.",
    ]


def _tokenising(options: argparse.Namespace) -> str:
    """On one thread, in the worker's chunks: texts cut before, and whole ones truncated after."""
    filter_ = load(FILTER)
    manifest = read_manifest(filter_.student_folder)
    file = filter_.student_folder / TOKENIZER
    ours = Tokeniser(file, manifest.max_tokens)
    whole = Tokenizer.from_file(str(file))
    whole.enable_truncation(manifest.max_tokens)
    lines = options.articles.read_bytes().splitlines()
    texts = [text for text in map(readable, lines) if text is not None][: options.records]
    chunks = [texts[at : at + CHUNK] for at in range(0, len(texts), CHUNK)]
    costs = []
    for encode in (ours.encode, whole.encode_batch):
        seconds = []
        for _ in range(options.rounds):
            started = time.process_time()
            for chunk in chunks:
                encode(chunk)
            seconds.append(1e6 * (time.process_time() - started) / len(texts))
        costs.append(spread(seconds, 0))
    return (
        f"Tokenising to {manifest.max_tokens} tokens costs {costs[0]} µs an article, off the owner "
        f"thread; {costs[1]} without cutting texts first."
    )


if __name__ == "__main__":
    main()
