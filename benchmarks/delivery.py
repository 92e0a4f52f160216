"""The worker's cost per record outside model and tokeniser, beside bare Kafka and its peers.

    python -m benchmarks.delivery [--articles FILE] [--records N] [--rounds N] [--no-peers]

newsieve decodes, checks, applies rules, tiers, samples, builds records with headers and commits
transactions; the others move bytes. Contenders are processes of their own and take turns. Peers
run in virtual environments of their own, made on first use.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contest import Report, own_python, run_contender
from tests.support.raw_topic import SAMPLE, fill
from tests.support.results import publish, spread
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.config import Cluster

FILTERS = ("uplifting", "sustainability", "investment_risk")
BARE = "bare confluent-kafka, transactions"
OURS = "newsieve, uplifting"
ARROYOS_RECORDS = 20_000  # its consumer hardly moves here once some 28,000 of a backlog are read


@dataclass(frozen=True)
class Contender:
    """A script, what it runs in, and what it promises."""

    name: str
    script: str
    promise: str
    package: str | None = None
    out: str | None = None
    most_records: int | None = None


CONTENDING = (
    Contender(BARE, "bare_loop.py", "exactly once"),
    Contender(OURS, "newsieve_worker.py", "exactly once", out="1"),
    Contender("newsieve, three filters", "newsieve_worker.py", "exactly once", out="3"),
    Contender("Quix Streams", "quix_loop.py", "exactly once", "quixstreams==3.28.1"),
    Contender(
        "arroyo",
        "arroyo_loop.py",
        "at least once",
        "sentry-arroyo==2.48.0",
        most_records=ARROYOS_RECORDS,
    ),
    Contender(
        "FastStream, batches", "faststream_loop.py", "at least once", "faststream[confluent]==0.7.8"
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, default=SAMPLE)
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--save")
    options = parser.parse_args()
    contending = [c for c in CONTENDING if c.package is None or not options.no_peers]
    found: dict[str, list[Report]] = {c.name: [] for c in contending}
    with find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker:
        cluster = Cluster(broker.bootstrap_servers, {})
        prefix = fill(cluster, options.articles, options.records, FILTERS)
        for _ in range(options.rounds):
            for contender in contending:
                found[contender.name].append(run(contender, cluster, prefix, options.records))
                sys.stderr.write(f"{contender.name}: {found[contender.name][-1]}\n")
    publish(
        "Cost per record outside model and tokeniser",
        _table(contending, found, options),
        options.save,
    )


def run(contender: Contender, cluster: Cluster, prefix: str, records: int) -> Report:
    return run_contender(
        contender.script,
        cluster,
        f"{prefix}.raw",
        contender.out or f"{prefix}.shadow",
        min(records, contender.most_records or records),
        own_python(contender.script.removesuffix(".py"), [contender.package])
        if contender.package
        else None,
    )


def _table(
    contending: list[Contender],
    found: dict[str, list[Report]],
    options: argparse.Namespace,
) -> list[str]:
    lines = [
        f"{options.records:,} records of `{options.articles.name}`, {options.rounds} rounds in "
        "turn; medians, smallest and largest.",
        "",
        "| | promise | µs of CPU per record | records/s | peak MiB |",
        "|---|---|---|---|---|",
    ]
    cpu = {
        name: [1e6 * r["cpu_seconds"] / r["records"] for r in runs] for name, runs in found.items()
    }
    for contender in contending:
        runs = found[contender.name]
        rates = [run["records"] / run["wall_seconds"] for run in runs]
        peaks = [run["peak_mib"] for run in runs]
        lines.append(
            f"| {contender.name} | {contender.promise} | {spread(cpu[contender.name])} | "
            f"{spread(rates, 0)} | {spread(peaks, 0)} |"
        )
    limited = [c for c in contending if (c.most_records or options.records) < options.records]
    ratio = statistics.median(cpu[OURS]) / statistics.median(cpu[BARE])
    added = statistics.median(cpu[CONTENDING[2].name]) - statistics.median(cpu[OURS])
    return [
        *lines,
        *(f"\n{c.name} reads {c.most_records:,}: the script says why." for c in limited),
        "",
        f"newsieve costs {ratio:.2f} times the bare loop; two more filters add {added:.1f} µs.",
    ]


if __name__ == "__main__":
    main()
