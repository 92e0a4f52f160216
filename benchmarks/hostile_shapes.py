"""What hostile records cost the loop's thread, per megabyte: linear, whatever they are made of.

    python -m benchmarks.hostile_shapes [--megabytes 0.25 1 4] [--rounds N] [--shape TEXT]

The whole path but for the model, the tokeniser and Kafka: decode, rules, decide, encode for all
three filters, or the record's dead letter. Each shape is tried once before: tables that are made
once a process (0.3 s in all) do not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Final

import numpy as np

from benchmarks.report import publish
from benchmarks.shapes import SHAPES
from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.records.dead_letter import RecordPosition, Writer, dead_letter
from newsieve.records.decode import RawRecord
from newsieve.records.encode import OutRecord
from newsieve.inference.scorer import FilterScores, Tokens
from newsieve.programs.scoring.path import ScoringPath
from newsieve.settings.loader import load_settings
from tests.support.filters import load

FILTERS: Final = ("uplifting", "sustainability", "investment_risk")
STUDENT: Final = "sha256:" + "0" * 64
DIMENSIONS: Final = 8
WRITER: Final = Writer("articles.dead-letter", "g", "1.0")
PLACE: Final = RecordPosition("articles.raw", 0, 0)
NOW: Final = "2026-11-22T16:00:00.000Z"
MEGABYTE: Final = 1_000_000


class HighScores:
    """A scorer by which every article is published and asked about: the most output there is."""

    def submit(
        self, _: Sequence[str], wanted: Mapping[str, Sequence[int]]
    ) -> Future[dict[str, FilterScores]]:
        done: Future[dict[str, FilterScores]] = Future()
        done.set_result(
            {
                name: FilterScores(
                    np.full((len(rows), DIMENSIONS), 8.0),
                    [Tokens([0], truncated=False)] * len(rows),
                    {},
                )
                for name, rows in wanted.items()
            }
        )
        return done

    def close(self) -> None:
        """Nothing to end."""


def hostile_path() -> ScoringPath:
    """The worker's own, with three filters; ids may come from keys, everything is sampled, and a
    key of the draw looks for signatures."""
    settings = load_settings(
        None,
        {
            "NEWSIEVE_WORKER__ID_FROM_KEY": "true",
            "NEWSIEVE_SAMPLING__LOW": "1",
            "NEWSIEVE_SAMPLING__SURFACED": "1",
            "NEWSIEVE_SAMPLING__KEY": "0" * 64,
        },
    )
    identities = [StudentIdentity(load(name), STUDENT, "fp32") for name in FILTERS]
    return scoring_path(settings, identities, HighScores())


def cpu_seconds(path: ScoringPath, record: RawRecord) -> float:
    """Of this thread, for all that becomes of one record: its outcomes or its dead letter."""
    began = time.thread_time()
    rows = path.finish(path.start([record]))
    error = rows[0].outcomes[0].error
    if error is not None:
        dead_letter(record, PLACE, error, None, WRITER, NOW)
    return time.thread_time() - began


def size_of(record: RawRecord | OutRecord) -> int:
    """With two bytes a header, as on the wire."""
    headers = sum(len(name) + len(value or b"") + 2 for name, value in record.headers or ())
    return len(record.value or b"") + len(record.key or b"") + headers


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
