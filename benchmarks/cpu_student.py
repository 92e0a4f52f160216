"""A CPU student end to end through Kafka, beside the same student in a plain transformers loop.

    python -m benchmarks.cpu_student --articles FILE [--records N] [--rounds N] [--threads N]

The filter is sustainability, which blocks nothing: every article goes through the model. All
lines of FILE must be whole articles with title and content.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.raw_topic import fill
from benchmarks.report import publish, spread
from worker.kafka.broker import find_or_start
from worker.kafka.client import Cluster

CONTENDERS = Path(__file__).parent / "contenders"
FILTER = "sustainability"
SECONDS = 3_000
LONGEST = "transformers, batch 16, padded to the longest"
FIXED = "transformers, batch 16, padded to 512"
FP32 = "newsieve worker, fp32"
BF16 = "newsieve worker, bf16"
TWO = "newsieve worker, two filters, fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, required=True)
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--save")
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    with find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker:
        cluster = Cluster(broker.bootstrap_servers, {})
        prefix = fill(cluster, options.articles, options.records, (FILTER, "uplifting"))
        for _ in range(options.rounds):
            for name, script, topic, out in _contending(options, prefix):
                report = _run(script, cluster, topic, out, options.records)
                found.setdefault(name, []).append(report)
                sys.stderr.write(f"{name}: {report}\n")
    publish("A CPU student end to end", _table(found, options), options.save)


def _contending(options: argparse.Namespace, prefix: str) -> list[tuple[str, str, str, str]]:
    file, raw, threads = str(options.articles), f"{prefix}.raw", options.threads
    return [
        (LONGEST, "student_loop.py", file, f"{FILTER}:longest:{threads}"),
        (FIXED, "student_loop.py", file, f"{FILTER}:512:{threads}"),
        (FP32, "student_worker.py", raw, f"{FILTER}:fp32:{threads}"),
        (BF16, "student_worker.py", raw, f"{FILTER}:bf16:{threads}"),
        (TWO, "student_worker.py", raw, f"{FILTER}+uplifting:fp32:{threads}"),
    ]


def _run(script: str, cluster: Cluster, topic: str, out: str, records: int) -> dict[str, float]:
    arguments = [
        "--servers", cluster.bootstrap_servers, "--topic", topic, "--out", out,
        "--group", f"bench-{secrets.token_hex(3)}", "--records", str(records),
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(CONTENDERS / script), *arguments],
        env={**os.environ, "PYTHONPATH": str(CONTENDERS.parents[1])},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    reports = [line for line in done.stdout.splitlines() if line.startswith(b'{"records"')]
    if not reports:
        raise SystemExit(f"{script} reported nothing:\n{done.stderr.decode()[-2_000:]}")
    report: dict[str, float] = json.loads(reports[-1])
    return report


def _table(found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> list[str]:
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


if __name__ == "__main__":
    main()
