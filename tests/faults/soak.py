"""A storm of faults over a fleet of real workers on a real broker, judged by an independent reader.

    make soak MINUTES=10
    python -m tests.faults.soak --minutes 10 [--seed N] [--protocol classic|static|consumer|all]
    python -m tests.faults.soak --only "broker restarted" --folder logs

Every kind of fault comes once before any comes again, under load, under a backlog and idle in
turn; the group's protocols take turns. Prints what was injected, what came in and out, and how
long partitions stood still.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.report import Report
from tests.faults.storm import FAULTS
from tests.faults.stormy import PROTOCOLS, storm
from tests.support.results import publish

LOADS = ("busy", "backlog", "idle")


def main() -> None:
    options = _options()
    sys.stderr.write(f"seed {options.seed}\n")
    coming = _coming(sorted(options.only or FAULTS), random.Random(options.seed))
    protocols = list(PROTOCOLS) if options.protocol == "all" else [options.protocol]
    report = Report()
    for protocol in protocols:
        with _folder(options.folder, protocol) as folder:
            _storm(folder, protocol, options, coming, 60 * options.minutes / len(protocols), report)
    publish("A storm of faults", report.lines(options.seed, options.per_second), options.save)
    report.require_exactly_once()
    report.require_progress()


def _coming(kinds: Sequence[str], chance: random.Random) -> Iterator[tuple[str, str]]:
    """Faults and loads, in rounds of every kind; after three rounds each has met each load."""
    for turn in itertools.count():
        pairs = [(kind, LOADS[(at + turn) % len(LOADS)]) for at, kind in enumerate(kinds)]
        yield from chance.sample(pairs, len(pairs))


def _storm(
    folder: Path,
    protocol: str,
    options: argparse.Namespace,
    coming: Iterator[tuple[str, str]],
    seconds: float,
    report: Report,
) -> None:
    """Strike for so long, then judge."""
    with storm(folder, options.per_second, protocol, options.seed, report) as running:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            name, load_ = next(coming)
            stood_seconds = running.strike(name, FAULTS[name], load_)
            stamp = time.strftime("%H:%M:%S")
            sys.stderr.write(
                f"{stamp} {protocol}: {name}, {load_}: all partitions move after "
                f"{stood_seconds:.1f} s\n"
            )
        report.seconds += time.monotonic() - started
        running.finish()


@contextlib.contextmanager
def _folder(kept: Path | None, protocol: str) -> Iterator[Path]:
    """Where workers log: a folder that stays, or one that goes."""
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="newsieve-soak-") as folder:
            yield Path(folder)
        return
    folder = kept.resolve() / protocol
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--per-second", type=int, default=200, help="raw records")
    parser.add_argument("--protocol", choices=["all", *PROTOCOLS], default="all")
    parser.add_argument("--only", action="append", choices=list(FAULTS), metavar="FAULT")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--folder", type=Path, help="keeps the workers' logs")
    parser.add_argument("--save", metavar="NAME", help="in benchmarks/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
