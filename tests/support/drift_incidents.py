"""Incidents from beginning to end, for tests of causes and for the benchmark of drift.

Each run monitors one filter on two strata: twenty labels and a thousand scored articles an hour,
an anchor for three labels, canaries hourly. After a healthy day something happens; what counts is
the cause of the first alert.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from newsieve.drift.anchors import AnchorSet
from newsieve.drift.condition_alert import CanaryResult
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.error_streams import Floats
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.label_reader import MONITOR, REFERENCE, AnchorLabel, Label
from newsieve.drift.monitor_state import ALERT, MonitorConfig, Transition
from tests.support.drift_field import Field
from tests.support.filters import load

HOUR = 60 * 60 * 1_000
LABELS_AN_HOUR = 20
ARTICLES_AN_HOUR = 1_000
HEALTHY_HOURS = 26  # the first day is the reference of the unlabelled stream
LAST_HOUR = HEALTHY_HOURS + 96
BASELINE_ROWS = 500  # of each stratum
ANCHORS, REPLICATES = 100, 3
REPLICATE_NOISE = 0.6  # of an oracle, before rounding: two answers then differ by 0.44 on average
RISE = 0.5
KEY = "vendor/model/001"


@dataclass(frozen=True)
class World:
    """What is true at a moment."""

    error_factor: float = 1.0  # of the student's errors on production articles
    moved: float = 0.0  # of articles: student's and oracle's scores alike
    oracle_moved: float = 0.0  # of the oracle's scores, everywhere
    student_moved: float = 0.0  # of the running student's scores, everywhere


def worlds(field: Field) -> dict[str, World]:
    """The world after each incident, named by its cause."""
    factor = 1 + RISE / float(np.abs(field.differences).mean())
    return {
        "concept_drift": World(error_factor=factor),
        "data_drift": World(error_factor=factor, moved=1.0),
        "oracle_drift": World(oracle_moved=1.0),
        "serving_defect": World(student_moved=1.0),
    }


class Stage:
    """One run: a filter monitor and the world around it."""

    def __init__(self, field: Field, seed: int) -> None:
        self._field = field
        self._rng = np.random.default_rng(seed)
        self._filter = load("uplifting")
        self._means = field.oracle[self._rng.integers(0, len(field.oracle), ANCHORS)]
        anchors = AnchorSet(
            KEY,
            tuple(f"anchor-{n}" for n in range(ANCHORS)),
            np.stack([self._ask(self._means, 0.0) for _ in range(REPLICATES)], axis=1),
        )
        self.monitor = FilterMonitor(self._filter, MonitorConfig(), anchors)
        for stratum in (False, True):
            picks = self._pick(np.flatnonzero(field.surfaced == stratum), BASELINE_ROWS)
            for label in self.labels(picks, World(), REFERENCE, 0):
                self.monitor.label(label)

    def run(self, world: World) -> Transition | None:
        """The first alert after the incident."""
        for hour in range(LAST_HOUR):
            now = World() if hour < HEALTHY_HOURS else world
            for step in self.hour(hour * HOUR, now):
                if step.state == ALERT and step.identity.stratum in ("low", "surfaced"):
                    return step
        return None

    def hour(self, start: int, world: World) -> list[Transition]:
        """An hour of articles and labels, from `start`."""
        found = self.monitor.canaries(
            CanaryResult(start, "s", world.student_moved == 0, abs(world.student_moved), 0.02)
        )
        share = ARTICLES_AN_HOUR // LABELS_AN_HOUR
        picks = self._pick(np.arange(len(self._field.oracle)), ARTICLES_AN_HOUR)
        scores = np.clip(self._student(picks, world), 0, 10)
        tiers = self._filter.tiering.decide(scores.round(4), [()] * len(scores)).tier
        labels = self.labels(picks[::share], world, MONITOR, start)
        for at, row in enumerate(scores.tolist()):
            when = start + at * HOUR // ARTICLES_AN_HOUR
            article = ScoreSample(when, row, tiers[at], 300, False, "en", "source")  # noqa: FBT003
            found += self.monitor.scored(article, "s")
            if at % share == 0:
                found += self.monitor.label(labels[at // share]._replace(position=when))
                found += self._answer_anchors(when, world)
        return found

    def _answer_anchors(self, at: int, world: World) -> list[Transition]:
        found: list[Transition] = []
        wanted, self.monitor.attribution.wanted = self.monitor.attribution.wanted, []
        for name in wanted:
            truth = self._means[[int(name.partition("-")[2])]]
            answer = self._ask(truth, world.oracle_moved)[0].tolist()
            found += self.monitor.anchor(AnchorLabel(at, name, KEY, answer))
        return found

    def _ask(self, truth: Floats, moved: float) -> Floats:
        noise = self._rng.normal(0, REPLICATE_NOISE, truth.shape)
        return np.clip(np.rint(truth + noise + moved), 0, 10)

    def _pick(self, among: Floats, count: int) -> Floats:
        return among[self._rng.integers(0, len(among), count)]

    def _student(self, picks: Floats, world: World) -> Floats:
        errors = self._field.differences[picks] * world.error_factor
        found: Floats = self._field.oracle[picks] + errors + world.moved + world.student_moved
        return found

    def labels(self, picks: Floats, world: World, purpose: str, at: int) -> list[Label]:
        """Labels of these pairs, in a world."""
        streams = self._field.streams
        student = np.clip(self._student(picks, world), 0, 10)
        oracle = np.clip(self._field.oracle[picks] + world.moved + world.oracle_moved, 0, 10)
        compared = streams.compare(student, oracle, [()] * len(picks))
        surfaced = self._field.surfaced[picks]
        return [
            Label(at, None, "s", "surfaced" if surfaced[n] else "low", purpose, 1.0, KEY, "p1",
                  compared.values[n], compared.differences[n],
                  bool(compared.tier_differs[n]), float(compared.mean_errors[n]))
            for n in range(len(picks))
        ]  # fmt: skip
