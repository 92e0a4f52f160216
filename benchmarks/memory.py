"""The worker's memory while its backlog grows tenfold: it should not care.

python -m benchmarks.memory [--articles FILE] [--records N]
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.delivery import CONTENDING, OURS, run
from tests.support.raw_topic import SAMPLE, fill
from tests.support.results import publish
from newsieve.devbroker.broker import find_or_start
from newsieve.kafka.config import Cluster

TIMES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=Path, default=SAMPLE)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--save")
    options = parser.parse_args()
    worker = next(contender for contender in CONTENDING if contender.name == OURS)
    lines = ["| backlog, records | peak MiB |", "|---|---|"]
    with find_or_start(os.environ, lambda text: sys.stderr.write(text + "\n")) as broker:
        cluster = Cluster(broker.bootstrap_servers, {})
        for records in (options.records, options.records * TIMES):
            prefix = fill(cluster, options.articles, records, ("uplifting",))
            report = run(worker, cluster, prefix, records)
            lines.append(f"| {records:,} | {report['peak_mib']:.0f} |")
    publish("Memory while the backlog grows", lines, options.save)


if __name__ == "__main__":
    main()
