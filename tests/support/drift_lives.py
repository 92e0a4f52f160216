"""Three lives of a filter's monitors, each cut in two: what comes before a snapshot and after it.

`tests/drift/recorded/format_1.json` has the snapshots that the version before format 2 made of the
first halves, and what it then made of the second. Every event is drawn from a seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.decision_log import Decision
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.label_reader import Label
from newsieve.drift.monitor_state import MonitorConfig, Transition
from newsieve.drift.output_records import DriftRecordEncoder
from tests.support.drift import DAY, UPLIFTING, errors_times, more
from tests.support.drift_monitor import ANCHORS, WORSE, a_filter_monitor, answer, canary

RECORDED: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "drift" / "recorded" / "format_1.json").read_text("utf-8")
)
ENCODER: Final = DriftRecordEncoder(
    UPLIFTING,
    "articles",
    "newsieve/drift/g",
    "sha256:" + "5" * 64,
    "newsieve drift replay x",
    "https://r.example/book",
)
EVIDENCE_EVERY: Final = 10  # labels
A_LITTLE_WORSE: Final = errors_times(1.35)


class Outcome(NamedTuple):
    """What a half of a life led to: transitions, and the evidence of drift and of recovery by
    monitor, as hexadecimal floats, after every tenth label."""

    steps: list[Transition]
    evidence: list[list[list[str]]]


class Life(NamedTuple):
    """A monitor as it begins, and its two halves."""

    monitor: Callable[[], FilterMonitor]
    before: Callable[[FilterMonitor, Outcome], None]
    after: Callable[[FilterMonitor, Outcome], None]


def feed(monitor: FilterMonitor, labels: Iterable[Label], outcome: Outcome) -> None:
    for count, label in enumerate(labels):
        outcome.steps.extend(monitor.label(label))
        if count % EVIDENCE_EVERY == 0:
            outcome.evidence.append([_evidence(item) for item in _in_order(monitor)])


def _in_order(monitor: FilterMonitor) -> list[Any]:
    return [item for _, item in sorted(monitor.monitors.by_identity.items())]


def _evidence(monitor: Any) -> list[str]:
    test = monitor.test
    found = (0.0, 0.0) if test is None else (test.evidence().value, test.recovery())
    return [value.hex() for value in found]


def labels(seed: int, count: int, *change: Any, oracle: str = "a", **facts: Any) -> list[Label]:
    """Labels with ids of their own."""
    drawn = more(seed, count, *change, **{"stratum": "x", **facts}, oracle_key=oracle)
    return [label._replace(id=f"article-{label.position}") for label in drawn]


def articles(seed: int, count: int, start: int = 0) -> Iterator[ScoreSample]:
    rng = Random(seed)
    for number in range(count):
        scores = [min(max(rng.gauss(4, 2), 0.0), 10.0) for _ in range(8)]
        tier = rng.choice(("impact", "connection", "not_uplifting"))
        at, tokens, language = start + number * 2_000, rng.randrange(20, 512), rng.choice("abc")
        source = f"source {rng.randrange(200)}"
        yield ScoreSample(at, scores, tier, tokens, False, language, source)  # noqa: FBT003


def _warning(monitor: FilterMonitor, outcome: Outcome) -> None:
    feed(monitor, labels(3, 60) + labels(4, 70, A_LITTLE_WORSE), outcome)


def _after_warning(monitor: FilterMonitor, outcome: Outcome) -> None:
    again = labels(4, 70, A_LITTLE_WORSE)  # redelivered: none of them counts
    feed(monitor, again + labels(5, 150, WORSE), outcome)
    feed(monitor, labels(6, 300), outcome)


def _incident(monitor: FilterMonitor, outcome: Outcome) -> None:
    for article in articles(1, 400):
        outcome.steps.extend(monitor.scored(article, "s"))
    outcome.steps.extend(monitor.canaries(canary(1, passed=True)))
    for label in labels(7, 200, WORSE):
        outcome.steps.extend(monitor.label(label))
        outcome.steps.extend(answer(monitor, label.position))
        if outcome.steps and outcome.steps[-1].state == "alert":
            break
    for label in labels(8, 20, stratum="suspect"):
        monitor.label(label)
    feed(monitor, labels(9, 30), outcome)


def _after_incident(monitor: FilterMonitor, outcome: Outcome) -> None:
    for article in articles(2, 100, 10_000_000):
        outcome.steps.extend(monitor.scored(article, "s"))
    outcome.steps.extend(monitor.tick(2_000_000_000))
    feed(monitor, labels(10, 320), outcome)


def _suspended(monitor: FilterMonitor, outcome: Outcome) -> None:
    feed(monitor, labels(3, 60), outcome)
    feed(monitor, labels(11, 5, oracle="b"), outcome)
    outcome.steps.extend(answer(monitor, 9, moved=1, key="b"))


def _after_suspended(monitor: FilterMonitor, outcome: Outcome) -> None:
    decision = Decision("accept_oracle", 99, "b", scope="drift/uplifting")
    outcome.steps.extend(monitor.decide(decision))
    feed(monitor, labels(12, 210, oracle="b") + labels(13, 120, WORSE, oracle="b"), outcome)


LIVES: Final = {
    "warning": Life(lambda: a_filter_monitor(with_anchors=False), _warning, _after_warning),
    "incident": Life(
        lambda: a_filter_monitor(config=MonitorConfig(reminder=DAY)), _incident, _after_incident
    ),
    "suspended": Life(a_filter_monitor, _suspended, _after_suspended),
}


def fresh(name: str) -> FilterMonitor:
    """The monitor of a life, which has seen nothing."""
    rules = MonitorConfig(reminder=DAY) if name == "incident" else MonitorConfig()
    return FilterMonitor(UPLIFTING, rules, None if name == "warning" else ANCHORS)
