"""What storms did, and whether every promise held."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tests.faults.fleet import Ended
from tests.faults.storm import BROKER_FAULTS, FAULTS, RECORD_FAULTS, WORKER_FAULTS

ENDS_PER_FAULT = 1 / 20  # processes that may end although no fault asked them to
MIDDLE_SECONDS = {"worker": 7.0, "record": 7.0, "broker": 10.0}
"""Until all partitions move again, the median over a class of faults. A killed worker's are free
after its session's 6 s; a broker that comes back has to find its coordinators first."""
CLASSES = {"worker": WORKER_FAULTS, "record": RECORD_FAULTS, "broker": BROKER_FAULTS}


@dataclass
class Report:
    """Sums over storms. Recovery is in seconds, by fault and protocol."""

    recovery: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: list[Ended] = field(default_factory=list)
    records: int = 0
    outcomes: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    wrong: int = 0  # outcomes that are another record's, or of another kind
    vanished: int = 0
    hanging: list[str] = field(default_factory=list)
    grown_bytes: int = 0
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        return sum(map(len, self.recovery.values()))

    def of(self, kinds: Collection[str], protocol: str | None = None) -> list[float]:
        """How long partitions stood still after faults of these kinds."""
        return [
            seconds
            for (name, under), found in self.recovery.items()
            if name in kinds and protocol in (None, under)
            for seconds in found
        ]

    def require_exactly_once(self) -> None:
        """Raise AssertionError unless every promise about records held."""
        assert self.records > 0
        broken = {
            "lost": self.lost,
            "doubled": self.doubled,
            "out of order": self.out_of_order,
            "wrong": self.wrong,
            "seen and gone": self.vanished,
            "hanging": len(self.hanging),
        }
        assert not any(broken.values()), broken

    def require_progress(self) -> None:
        """Raise AssertionError when processes ended by themselves, or stood still for long."""
        allowed = -(-self.faults * ENDS_PER_FAULT // 1)
        assert len(self.ended) <= allowed, [item.last_words for item in self.ended]
        for name, kinds in CLASSES.items():
            found = self.of(kinds)
            if found:
                middle = statistics.median(found)
                assert middle <= MIDDLE_SECONDS[name], f"{name} faults: {middle:.1f} s"

    def lines(self, seed: int, per_second: int) -> list[str]:
        """The report for people."""
        return [
            f"Three workers with tiny random students, one broker, {per_second} raw records a "
            f"second and backlogs of thousands; seed {seed}. Seconds until all partitions move "
            "again: median (longest) × times.",
            "",
            *self._table(),
            "",
            f"{self.records:,} raw records in, {self.outcomes:,} outcomes out: lost {self.lost}, "
            f"doubled {self.doubled}, out of order {self.out_of_order}, wrong {self.wrong}, seen "
            f"and gone {self.vanished}, hanging transactions {len(self.hanging)}.",
            f"{self.faults} faults of {len({name for name, _ in self.recovery})} kinds in "
            f"{self.seconds / 60:.0f} minutes; {self.records / max(self.seconds, 1):.0f} records/s "
            f"under chaos; {len(self.ended)} processes ended that no fault had ended"
            + "".join(f" ({item.slot}: exit {item.code})" for item in self.ended)
            + f"; no worker's memory grew by more than {self.grown_bytes / 2**20:.0f} MiB.",
        ]

    def _table(self) -> Iterator[str]:
        protocols = sorted({protocol for _, protocol in self.recovery})
        yield "| fault | " + " | ".join(protocols) + " |"
        yield "|---" * (len(protocols) + 1) + "|"
        for name in FAULTS:
            if any(name == kind for kind, _ in self.recovery):
                cells = (_cell(self.recovery.get((name, item), [])) for item in protocols)
                yield f"| {name} | " + " | ".join(cells) + " |"
        for name, kinds in CLASSES.items():
            cells = (_cell(self.of(kinds, protocol)) for protocol in protocols)
            yield f"| **all {name} faults** | " + " | ".join(cells) + " |"


def _cell(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    return f"{statistics.median(seconds):.1f} ({max(seconds):.1f}) × {len(seconds)}"
