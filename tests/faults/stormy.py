"""One storm: a broker, a fleet, a feed and a watcher; strikes, and the judgement at the end."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import java_broker
from tests.faults.feed import Feed
from tests.faults.fleet import Fleet
from tests.faults.report import Report
from tests.faults.storm import MAX_MESSAGE_BYTES, Fault, Scene
from tests.faults.watcher import Watcher
from tests.support.filters import load
from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.tiny_student import make_student
from tests.support.topics import unique_prefix

PATIENCE_SECONDS = 120
AGREE_SECONDS = 30
BACKLOG = 4_000
PROTOCOLS: Mapping[str, dict[str, object]] = {
    "classic": {},
    "static": {"kafka__static_membership": "true"},
    "consumer": {"group.protocol": "consumer"},
}
BROKER_SETTINGS = {
    # A killed broker may take its own id again only when its old session has ended. At 1 s a busy
    # machine's broker loses its partitions to nobody, and its coordinators stop loading half-way.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "200",
    # A takeover after kill -9 waits for a session's end, too; with KIP-848 the broker decides.
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.session.timeout.ms": "6000",
    "group.consumer.heartbeat.interval.ms": "2000",
    "group.consumer.min.heartbeat.interval.ms": "2000",
}


@dataclass
class Storm:
    """Strike, then finish."""

    protocol: str
    stream: Stream
    scene: Scene
    feed: Feed
    watcher: Watcher
    report: Report
    patience_seconds: float  # for all partitions to move again after a fault

    def strike(self, name: str, fault: Fault, load_: str) -> float:
        """One fault: inject it, wait until all partitions move again, check the offsets, and that
        no worker is alive and idle. Returns the seconds partitions stood still."""
        self.feed.is_paused = load_ == "idle"
        if load_ == "backlog":
            self.feed.add(BACKLOG)
        over = fault(self.scene)
        self.feed.is_paused = False
        seconds = self.watcher.seconds_until_all_move(over, self.patience_seconds)
        self.report.recovery[name, self.protocol].append(seconds)
        fleet = self.scene.fleet
        fleet.wait_for_the_replaced()
        idle = fleet.idle(PATIENCE_SECONDS)
        assert not idle, f"alive and idle after {name}: {idle}"
        self.report.grown_bytes = max(self.report.grown_bytes, fleet.grown_bytes())
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

    def finish(self) -> None:
        """Drain, stop, and judge what is on the topics."""
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
        places = {place for place, _ in seen.outcomes}
        report.records += len(self.feed.fates)
        report.outcomes += seen.outcomes.total()
        report.lost += len(self.feed.fates.keys() - places)
        report.doubled += seen.outcomes.total() - len(places)
        report.out_of_order += seen.out_of_order
        report.wrong += sum(seen.fates[place] != self.feed.fates.get(place) for place in places)
        gone = self.watcher.seen.records - seen.records
        report.vanished += sum(topic not in self.scene.deleted for topic, _, _ in gone)
        report.hanging += hanging_transactions(self.stream.servers, self.stream.prefix)
        report.ended += self.scene.fleet.ended


@contextmanager
def storm(
    folder: Path,
    per_second: int,
    protocol: str,
    seed: int,
    report: Report,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Storm]:
    """Three workers, at work."""
    student = make_student(folder / "student", load("uplifting"), "bert")
    settings = dict(PROTOCOLS[protocol])
    options = {name: settings.pop(name) for name in list(settings) if "." in name}
    settings["kafka__options"] = json.dumps(options | {"message.max.bytes": MAX_MESSAGE_BYTES})
    with java_broker(BROKER_SETTINGS) as broker:
        stream = Stream(broker.bootstrap_servers, unique_prefix(), folder, {"uplifting": student})
        try:
            watcher = Watcher(stream.servers, stream.prefix)
            fleet = Fleet(stream, settings=settings)
            fleet.wait_until_ready()
            feed = Feed(stream, per_second)
            watcher.seconds_until_all_move(time.time(), PATIENCE_SECONDS)
            scene = Scene(fleet, broker, feed, random.Random(seed))
            yield Storm(protocol, stream, scene, feed, watcher, report, patience_seconds)
        finally:
            stream.close()
            shutil.copy(broker.log, folder / "broker.log")
