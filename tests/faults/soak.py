"""A storm of faults over a fleet of real workers on a real broker, judged by an independent reader.

    make soak MINUTES=10
    python -m tests.faults.soak --minutes 10 [--seed N] [--protocol classic|static|consumer]

Every kind of fault comes once before any comes again, under load, under a backlog and idle in
turn. Prints what was injected, what came in and out, and how long partitions stood still.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import publish
from tests.faults.fleet import Ended, Feed, Fleet
from tests.faults.storm import FAULTS, Fault, Scene
from tests.faults.watcher import Watcher
from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.tiny_student import make_student
from tests.support.topics import unique_prefix
from worker.kafka.broker import JavaBroker
from worker.rules.catalogue import load

PATIENCE_SECONDS = 120
AGREE_SECONDS = 30
BACKLOG = 4_000
LOADS = ("busy", "backlog", "idle")
PROTOCOLS: Mapping[str, dict[str, object]] = {
    "classic": {},
    "static": {"kafka__static_membership": "true"},
    "consumer": {"kafka__options": json.dumps({"group.protocol": "consumer"})},
}
BROKER_SETTINGS = {
    # A killed broker may take its own id again only when its old session has ended.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "200",
    # A takeover after kill -9 waits for a session's end, too; with KIP-848 the broker decides.
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "2000",
    "group.consumer.min.heartbeat.interval.ms": "2000",
}


@dataclass
class Report:
    """What a storm did."""

    recovery: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: list[Ended] = field(default_factory=list)
    records: int = 0
    outcomes: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    vanished: int = 0
    hanging: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        return sum(map(len, self.recovery.values()))

    def require_exactly_once(self) -> None:
        """Raise AssertionError unless every promise held."""
        assert self.records > 0
        assert (self.lost, self.doubled, self.out_of_order, self.vanished) == (0, 0, 0, 0), self
        assert self.hanging == []
        assert len(self.ended) * 20 <= self.faults + 19, [item.last_words for item in self.ended]


@dataclass
class Storm:
    """A broker, a fleet, a feed and a watcher."""

    stream: Stream
    scene: Scene
    feed: Feed
    watcher: Watcher
    report: Report = field(default_factory=Report)

    def strike(self, name: str, fault: Fault, load_: str) -> float:
        """One fault: inject it, wait until all partitions move again, check the offsets."""
        self.feed.is_paused = load_ == "idle"
        if load_ == "backlog":
            self.feed.add(BACKLOG)
        over = fault(self.scene)
        self.feed.is_paused = False
        seconds = self.watcher.seconds_until_all_move(over, PATIENCE_SECONDS)
        self.report.recovery[name].append(seconds)
        self.scene.fleet.wait_for_the_replaced()
        self._wait_for_the_fleet()
        self.require_offsets_and_outcomes_agree()
        return seconds

    def require_offsets_and_outcomes_agree(self) -> None:
        """No offset is committed without its outcome, no outcome without its offset. Markers reach
        partitions one after another, so each half gets a moment."""
        self.watcher.wait_for(self.stream.committed(), AGREE_SECONDS)
        highest = {p: self.watcher.seen.highest(p) for p in list(self.feed.ends)}
        deadline = time.monotonic() + AGREE_SECONDS
        while any(self.stream.committed().get(p, 0) <= offset for p, offset in highest.items()):
            assert time.monotonic() < deadline, f"visible beyond the offsets: {highest}"

    def finish(self) -> Report:
        """Everybody works; then drain, stop, and judge what is on the topics."""
        self._call_the_roll()
        self.feed.close()
        self.watcher.wait_for(self.feed.ends, PATIENCE_SECONDS)
        codes = self.scene.fleet.close()
        assert codes == [0] * len(codes), codes
        assert self.stream.committed() == self.feed.ends
        assert self.stream.committed_end(self.stream.raw_topic) == sum(self.feed.ends.values())
        again = Watcher(self.stream.servers, self.stream.prefix)
        again.wait_for(self.feed.ends, PATIENCE_SECONDS)
        self.watcher.close()
        again.close()
        report, seen = self.report, again.seen
        raw = {(p, offset) for p, end in self.feed.ends.items() for offset in range(end)}
        report.records, report.outcomes = len(raw), sum(seen.outcomes.values())
        report.lost = len(raw - {place for place, _ in seen.outcomes})
        report.doubled = sum(count - 1 for count in seen.outcomes.values())
        report.doubled += len(seen.outcomes) - len({place for place, _ in seen.outcomes})
        report.out_of_order = seen.out_of_order
        report.vanished = len(self.watcher.seen.records - seen.records)
        report.hanging = hanging_transactions(self.stream.servers, self.stream.prefix)
        report.ended = self.scene.fleet.ended
        return report

    def _wait_for_the_fleet(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        fleet = self.scene.fleet
        while not all("partitions.assigned" in w.text() for w in list(fleet.workers.values())):
            assert time.monotonic() < deadline, "a worker does not come back"
            time.sleep(0.2)

    def _call_the_roll(self) -> None:
        """No worker is alive and idle."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        before = self.scene.fleet.records()
        while True:
            now = self.scene.fleet.records()
            idle = [slot for slot, count in now.items() if count <= before[slot]]
            if not idle:
                return
            assert time.monotonic() < deadline, f"alive and idle: {idle}"
            time.sleep(0.5)


@contextmanager
def storm(
    folder: Path, per_second: int, protocol: str = "classic", seed: int = 0
) -> Iterator[Storm]:
    """Three workers, at work."""
    student = make_student(folder / "student", load("uplifting"), "bert")
    with JavaBroker(BROKER_SETTINGS) as broker:
        stream = Stream(broker.bootstrap_servers, unique_prefix(), folder, {"uplifting": student})
        try:
            watcher = Watcher(stream.servers, stream.prefix)
            fleet = Fleet(stream, settings=dict(PROTOCOLS[protocol]))
            fleet.wait_until_ready()
            feed = Feed(stream, per_second)
            watcher.seconds_until_all_move(time.time(), PATIENCE_SECONDS)
            yield Storm(stream, Scene(fleet, broker, random.Random(seed)), feed, watcher)
        finally:
            stream.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--per-second", type=int, default=200)
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="classic")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--save")
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}\n")
    chance = random.Random(options.seed)
    loads = itertools.cycle(LOADS)
    with (
        tempfile.TemporaryDirectory(prefix="newsieve-soak-") as folder,
        storm(Path(folder), options.per_second, options.protocol, options.seed) as running,
    ):
        started = time.monotonic()
        rounds = (chance.sample(sorted(FAULTS), len(FAULTS)) for _ in itertools.count())
        for name in itertools.chain.from_iterable(rounds):
            if time.monotonic() - started > options.minutes * 60:
                break
            load_ = next(loads)
            seconds = running.strike(name, FAULTS[name], load_)
            sys.stderr.write(f"{name}, {load_}: all partitions move after {seconds:.1f} s\n")
        running.report.seconds = time.monotonic() - started
        report = running.finish()
    publish("A storm of faults", _lines(report, options), options.save)
    report.require_exactly_once()


def _lines(report: Report, options: argparse.Namespace) -> list[str]:
    return [
        f"Three workers, {options.protocol} group, one broker, tiny random student; seed "
        f"{options.seed}.",
        "",
        "| fault | times | until all partitions move, s: median | longest |",
        "|---|---|---|---|",
        *(
            f"| {name} | {len(found)} | {statistics.median(found):.1f} | {max(found):.1f} |"
            for name, found in sorted(report.recovery.items())
        ),
        "",
        f"{report.records:,} raw records in, {report.outcomes:,} outcomes out: lost {report.lost}, "
        f"doubled {report.doubled}, out of order {report.out_of_order}, seen and gone "
        f"{report.vanished}, hanging transactions {len(report.hanging)}.",
        f"{report.faults} faults of {len(report.recovery)} kinds in {report.seconds / 60:.0f} "
        f"minutes; {report.records / max(report.seconds, 1):.0f} records/s under chaos; "
        f"{len(report.ended)} processes ended that no fault had ended"
        + "".join(f" ({item.slot}: exit {item.code})" for item in report.ended)
        + ".",
    ]


if __name__ == "__main__":
    main()
