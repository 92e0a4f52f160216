"""Five lives of a filter's monitors, each cut in two: what comes before a snapshot and after it.

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
HOUR: Final = 60 * 60 * 1_000  # milliseconds
REBASELINE: Final = Decision("rebaseline", 5, student_version="t", scope="drift/uplifting/baseline")
ACKNOWLEDGE: Final = Decision("acknowledge", 6, scope="drift/uplifting/incident")
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


def _attributing(monitor: FilterMonitor, outcome: Outcome) -> None:
    """An alarm whose cause is asked for, after canaries that had moved for a while; and a student
    that is to make its baseline of its first labels."""
    outcome.steps.extend(monitor.canaries(canary(1, passed=False)))
    outcome.steps.extend(monitor.canaries(canary(3 * HOUR, passed=True)))
    outcome.steps.extend(monitor.decide(REBASELINE))
    outcome.steps.extend(monitor.decide(ACKNOWLEDGE))
    for label in labels(7, 200, WORSE):
        outcome.steps.extend(monitor.label(label))
        if any(item.state.awaits_cause for item in monitor.monitors.by_identity.values()):
            break
    _label_anchors(monitor, range(10), outcome)


def _after_attributing(monitor: FilterMonitor, outcome: Outcome) -> None:
    _label_anchors(monitor, range(10, 45), outcome)
    other = [label._replace(student_version="t") for label in labels(14, 210, stratum="low")]
    feed(monitor, other, outcome)
    outcome.steps.extend(monitor.decide(REBASELINE))  # read once more
    outcome.steps.extend(monitor.canaries(canary(DAY, passed=False)))
    outcome.steps.extend(monitor.tick(2 * DAY + 1))


def _defect(monitor: FilterMonitor, outcome: Outcome) -> None:
    """A student that does not reproduce its canaries; somebody knows."""
    outcome.steps.extend(monitor.canaries(canary(1, passed=False)))
    feed(monitor, labels(7, 100, WORSE), outcome)
    outcome.steps.extend(monitor.decide(ACKNOWLEDGE))


def _after_defect(monitor: FilterMonitor, outcome: Outcome) -> None:
    outcome.steps.extend(monitor.tick(2 * DAY))
    outcome.steps.extend(monitor.canaries(canary(2 * DAY, passed=True)))
    feed(monitor, labels(10, 320), outcome)


def _label_anchors(monitor: FilterMonitor, numbers: range, outcome: Outcome) -> None:
    monitor.attribution.wanted = [f"anchor-{number}" for number in numbers]
    outcome.steps.extend(answer(monitor, 800_000 + numbers.start))


LIVES: Final = {
    "warning": Life(lambda: a_filter_monitor(with_anchors=False), _warning, _after_warning),
    "incident": Life(
        lambda: a_filter_monitor(config=MonitorConfig(reminder=DAY)), _incident, _after_incident
    ),
    "suspended": Life(a_filter_monitor, _suspended, _after_suspended),
    "attributing": Life(
        lambda: a_filter_monitor(config=MonitorConfig(reminder=DAY)),
        _attributing,
        _after_attributing,
    ),
    "defect": Life(
        lambda: a_filter_monitor(config=MonitorConfig(reminder=DAY)), _defect, _after_defect
    ),
}


def fresh(name: str) -> FilterMonitor:
    """The monitor of a life, which has seen nothing."""
    is_reminded = name in ("incident", "attributing", "defect")
    config = MonitorConfig(reminder=DAY) if is_reminded else MonitorConfig()
    return FilterMonitor(UPLIFTING, config, None if name == "warning" else ANCHORS)
