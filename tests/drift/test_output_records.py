"""What a live monitor writes, and reads back."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from newsieve.drift.alerts import fingerprint
from newsieve.drift.anchor_file import AnchorArticle
from newsieve.drift.data_drift import ScoreSample
from newsieve.drift.filter_monitor import FilterMonitor
from newsieve.drift.monitor_state import MonitorConfig, Transition
from newsieve.drift.output_records import DriftRecordEncoder, read_state
from newsieve.drift.snapshot import DISTRIBUTIONS, FILTER_STATE
from newsieve.errors import TopicsWrong
from newsieve_schemas.drift import DriftAlert, DriftState
from newsieve_schemas.oracle import OracleRequest
from tests.support.drift import DAY, UPLIFTING, errors_times, more
from tests.support.drift_field import load_field
from tests.support.drift_incidents import MONITOR, REFERENCE, Stage, World
from tests.support.drift_monitor import a_filter_monitor, alarmed
from tests.support.drift_records import HASH

STUDENT = "sha256:" + "5" * 64
ENCODER = DriftRecordEncoder(
    UPLIFTING,
    "articles",
    "newsieve/drift/g",
    STUDENT,
    "newsieve drift replay x",
    "https://r.example/book",
)
LIMIT_BYTES = 96_000  # 64-bit fingerprints and single precision; 22 kB are the fingerprints


def told(steps: list[Transition]) -> list[tuple[str, str]]:
    return [(step.last_published, step.state) for step in steps if step.is_published]


def test_an_alert_is_the_same_fact_with_the_same_id() -> None:
    """Keyed by its monitor; headers say enough to filter by; times are the stream's."""
    step = alarmed(a_filter_monitor(with_anchors=False))[-1]

    first, again = ENCODER.alert(step), ENCODER.alert(step)
    later = ENCODER.alert(replace(step, position=step.position + 1))

    assert first == again
    alert = DriftAlert.model_validate_json(first.value or b"", extra="forbid")
    headers = {name: (value or b"").decode() for name, value in first.headers}
    assert first.key == alert.fingerprint.encode() == fingerprint(step.identity).encode()
    assert (headers["filter"], headers["state"]) == ("uplifting", "alert")
    assert headers["severity"] == alert.severity
    assert headers["ce_type"] == "newsieve.drift.alert.v1" and headers["ce_time"] == alert.raised_at
    assert dict(later.headers)["ce_id"] != headers["ce_id"].encode()
    assert alert.action.command == "newsieve drift replay x"


def test_pending_is_nobodys_business() -> None:
    """Nor that it is over; what is published is a chain of its own."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    steps: list[Transition] = []
    rows = [*more(3, 260, stratum="x", oracle_key="a")]
    rows += more(4, 60, errors_times(1.4), stratum="x", oracle_key="a")
    rows += more(5, 900, stratum="x", oracle_key="a")
    for row in rows:
        steps += filter_monitor.label(row)

    assert "pending" in {step.state for step in steps}
    chain = told(steps)
    assert "pending" not in {state for pair in chain for state in pair}
    assert [before for before, _ in chain[1:]] == [after for _, after in chain[:-1]]
    assert all(before != after for before, after in chain)


def test_a_request_for_an_anchor_is_one_that_an_oracle_reads() -> None:
    """With its text, without a student's scores; asked again, it is another fact."""
    article = {
        **dict.fromkeys(("url", "source", "language", "published_at")),
        "id": "a",
        "title": "T",
        "content": "C",
        "content_hash": HASH,
    }
    first, later = (ENCODER.anchor_request(AnchorArticle("a", article), at) for at in (1, 2))

    request = OracleRequest.model_validate_json(first.value or b"", extra="forbid")
    assert (request.sampling.purpose, request.sampling.pi, request.scores) == ("anchor", 1.0, None)
    assert request.article.content == "C" and first.topic == "articles.oracle.requests"
    assert dict(first.headers)["ce_id"] != dict(later.headers)["ce_id"]


def test_a_state_is_read_back_as_it_was() -> None:
    """Of monitors and of the rest; an incident has its id; a monitor that has gone, a tombstone."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    alarmed(filter_monitor)
    for saved in filter_monitor.take_changes():
        record = ENCODER.state(saved, 5)
        state = DriftState.model_validate_json(record.value or b"", extra="forbid")
        kept = read_state(record.key or b"", record.value or b"")
        assert kept.snapshot == replace(saved, detector=json.loads(json.dumps(saved.detector)))
        assert (kept.filter, kept.label_hash) == ("uplifting", UPLIFTING.label_hash)
        assert (state.incident_id is not None) == (saved.state == "alert")
        gone = ENCODER.state(replace(saved, detector=None), 5)
        assert (gone.key, gone.value) == (record.key, None)


@pytest.mark.parametrize(
    "change", [{"detector": {}}, {"detector": {"format": 99}}, {"state": "fine"}, {"filter": None}]
)
def test_a_state_that_cannot_be_read_stops_the_monitor(change: dict[str, object]) -> None:
    """With its key, and what makes the monitor begin anew."""
    filter_monitor = a_filter_monitor(with_anchors=False)
    record = ENCODER.state(filter_monitor.take_changes()[0], 5)
    value = json.dumps(json.loads(record.value or b"") | change).encode()

    with pytest.raises(TopicsWrong, match="A null value with that key forgets it") as raised:
        read_state(record.key or b"", value)

    assert (record.key or b"").decode() in str(raised.value)


def test_a_filters_state_is_small_even_while_one_student_takes_over() -> None:
    """Four monitors whose windows and banks are full, anchors that are tested, sketches of two
    students, a memory that is full."""
    field, rng = load_field(), random.Random(1)
    stage = Stage(field, 3)
    filter_monitor = stage.monitor
    for number, student in enumerate((HASH, STUDENT)):
        for purpose, world, count in ((REFERENCE, World(), 400), (MONITOR, World(), 1_500)):
            picks = stage._pick(np.arange(len(field.oracle)), count)
            for at, label in enumerate(stage.labels(picks, world, purpose, 0)):
                name = f"{rng.getrandbits(128):032x}"
                when = number * DAY + at * 41_777 + rng.randrange(9_999)
                pi = 0.02 if label.stratum == "low" else 0.2
                filter_monitor.label(
                    label._replace(student_version=student, id=name, position=when, pi=pi)
                )
        stage._answer_anchors(number * DAY, World())
        for at in range(3_000):
            article = stage_article(rng, number * DAY + at * 2_000)
            filter_monitor.scored(article, student)
    monitors = [
        item for item in filter_monitor.take_changes() if item.identity.student_version != "s"
    ]

    sizes = {
        f"{item.identity.stratum} {item.identity.student_version[-3:]}": len(
            ENCODER.state(item, 0).value or b""
        )
        for item in monitors
    }

    assert len(sizes) == 6 and {f"{FILTER_STATE} ", f"{DISTRIBUTIONS} "} <= sizes.keys()
    assert 40_000 < sum(sizes.values()) < LIMIT_BYTES, sizes


def stage_article(rng: random.Random, at: int) -> ScoreSample:
    scores = [min(max(rng.gauss(4, 2), 0.0), 10.0) for _ in range(8)]
    tier = rng.choice(("impact", "connection", "not_uplifting"))
    source = f"source {rng.randrange(200)}"
    tokens = rng.randrange(20, 512)
    return ScoreSample(at, scores, tier, tokens, False, rng.choice("abc"), source)  # noqa: FBT003


def test_a_reminder_of_a_suspension_says_what_it_waits_for() -> None:
    """Another oracle, or labels: it has no streams to name."""
    rules = MonitorConfig(reminder=DAY, silence=3 * DAY)
    for key, why in (("b", "oracle_changed"), ("a", "no_labels")):
        filter_monitor: FilterMonitor = a_filter_monitor(with_anchors=False, config=rules)
        for label in more(4, 30, stratum="x", oracle_key="a"):
            filter_monitor.label(label)
        filter_monitor.label(more(5, 1, stratum="x", oracle_key=key)[0])
        steps = [step for day in range(20) for step in filter_monitor.tick(500_000 + day * DAY)]

        reminders = [step for step in steps if step.is_reminder]
        assert len(reminders) > 3 and {step.reason for step in reminders} == {why}
        for step in reminders:
            alert = json.loads(ENCODER.alert(step).value or b"")
            assert alert["repeated"] and alert["state"] == alert["previous_state"] == "suspended"
