"""What hostile records cost the loop's thread, per megabyte: linear, whatever they are made of.

    python -m benchmarks.hostile_shapes [--megabytes 0.25 1 4] [--rounds N] [--shape TEXT]

The whole path but for the model, the tokeniser and Kafka: decode, rules, decide, encode for all
three filters, or the record's dead letter. Each shape is tried once before: tables that are made
once a process (0.3 s in all) do not count.
"""

from __future__ import annotations

import argparse
from typing import Final

from tests.support.hostile_path import cpu_seconds, hostile_path, size_of
from tests.support.hostile_shapes import SHAPES
from tests.support.results import publish

MEGABYTE: Final = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[0.25, 1.0, 3.9])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", default="")
    parser.add_argument("--save")
    options = parser.parse_args()
    path = hostile_path()
    sizes = " | ".join(f"{size:g} MB" for size in options.megabytes)
    lines = [f"| | {sizes} |", "|---" * (1 + len(options.megabytes)) + "|"]
    for name, shape in SHAPES.items():
        if options.shape not in name:
            continue
        cells = []
        for megabytes in options.megabytes:
            record = shape(int(megabytes * MEGABYTE))
            cpu_seconds(path, record)
            best = min(cpu_seconds(path, record) for _ in range(options.rounds))
            cells.append(f"{1_000 * best / (size_of(record) / MEGABYTE):.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    publish("Milliseconds of CPU per megabyte of a hostile record", lines, options.save)


if __name__ == "__main__":
    main()
