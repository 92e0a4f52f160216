"""What transactions cost: the worker, and the same worker with them switched off.

python -m benchmarks.transactions [--articles FILE] [--records N] [--rounds N]

Both decode, apply rules, tier, sample and write the same records; their scorer knows its answers
beforehand, so that nothing hides the price. They take turns on one broker.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path

from benchmarks.contest import Report, run_contender
from tests.support.raw_topic import SAMPLE, fill
from tests.support.results import publish, spread
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.config import Cluster

SCRIPTS = {"transactions": "newsieve_worker.py", "none": "plain_worker.py"}
FILTERS = "1"
DEAREST = 0.15  # of the throughput


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, default=SAMPLE)
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save")
    options = parser.parse_args()
    found: dict[str, list[Report]] = {name: [] for name in SCRIPTS}
    with find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker:
        cluster = Cluster(broker.bootstrap_servers, {})
        prefix = fill(cluster, options.articles, options.records, ("uplifting",))
        for turn in range(options.rounds):
            for name in sorted(SCRIPTS, reverse=bool(turn % 2)):
                topic, records = f"{prefix}.raw", options.records
                report = run_contender(SCRIPTS[name], cluster, topic, FILTERS, records)
                found[name].append(report)
                sys.stderr.write(f"{name}: {report}\n")
    publish("What transactions cost", _lines(found, options), options.save)


def _lines(found: dict[str, list[Report]], options: argparse.Namespace) -> list[str]:
    rates = {name: [r["records"] / r["wall_seconds"] for r in rows] for name, rows in found.items()}
    cost = 1 - statistics.median(rates["transactions"]) / statistics.median(rates["none"])
    return [
        f"{options.records:,} records of `{options.articles.name}`, {options.rounds} rounds in "
        "turn; medians, smallest and largest. Without transactions records are flushed and offsets "
        "committed at the same intervals.",
        "",
        "| | records/s | µs of CPU per record |",
        "|---|---|---|",
        *(
            f"| {name} | {spread(rates[name], 0)} | "
            f"{spread([1e6 * r['cpu_seconds'] / r['records'] for r in rows])} |"
            for name, rows in found.items()
        ),
        "",
        f"Transactions cost {cost:.1%} of the throughput (at most {DEAREST:.0%} wanted).",
    ]


if __name__ == "__main__":
    main()
