"""The whole main path on a real broker: raw articles in, outcomes out, exactly once."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from newsieve.filters.registry import Filter
from newsieve.records.decode import RawRecord
from newsieve.settings.loader import load_settings
from tests.support.articles import raw_records
from tests.support.reader import hanging_transactions
from tests.support.stream import Stream
from tests.support.tiny_student import make_student

VARYING = ("scored_at", "input")
NUMBERS = ("scores", "weighted_average", "score")


def expected_records(stream: Stream, values: list[bytes]) -> list[dict[str, Any]]:
    """f(inputs): the scored records that these raw values lead to, by the same path in-process."""
    from newsieve.bootstrap.common import load_filters
    from newsieve.bootstrap.students import identities_of, load_students, make_scorer, scoring_path

    settings = load_settings(None, stream.environment())
    filters = load_filters(settings)
    students = load_students(settings, filters)
    engine = make_scorer(students)
    identities = identities_of(students)
    path = scoring_path(settings, identities, engine)
    batch = path.start([RawRecord(value, None, None, None, {}) for value in values])
    found = [
        json.loads(outcome.records[0].value or b"")
        for row in path.finish(batch)
        for outcome in row.outcomes
        if outcome.error is None
    ]
    engine.close()
    return found


def assert_same(outputs: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Record by record; numbers to 1e-3, since other batches sum in another order."""

    def name(record: dict[str, Any]) -> tuple[str, str, str]:
        return record["article"]["url"], record["article"]["content_hash"], record["filter"]

    ours, theirs = sorted(outputs, key=name), sorted(expected, key=name)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        for field in one.keys() - set(VARYING):
            approximate = (
                pytest.approx(other[field], abs=1e-3) if field in NUMBERS else other[field]
            )
            assert one[field] == approximate, field


@pytest.mark.usefixtures("started")
def test_outputs_are_a_function_of_the_inputs(stream: Stream) -> None:
    """Each (raw record, filter) has exactly one outcome, the right one; bad records are dead
    letters with their bytes; tombstones and deletions are skipped; offsets, order and ends as
    promised."""
    records = list(raw_records(600))
    deletion = {"before": {"id": "gone"}, "after": None, "op": "d", "ts_ms": 1}
    stream.produce([(b"gone", json.dumps(deletion).encode())])
    stream.raw.clear()
    stream.produce([*records, (b"tombstone", None)])
    worker = stream.start_worker("a")
    reader = stream.reader()

    outputs = reader.read_until(lambda o: len(o.scored) + len(o.letters) >= 600, 120)
    metrics = urllib.request.urlopen(
        f"http://127.0.0.1:{worker.events('worker.assembled')[0]['observe_port']}/metrics"
    ).read()
    assert worker.terminate() == 0
    assert "leaked" not in worker.text()  # on call, every line in a log is a question
    outputs = reader.read_to_end()

    outcomes = outputs.outcomes()
    assert set(outcomes.values()) == {1}
    assert {(p, o) for p, o, _ in outcomes} == stream.raw
    expected = expected_records(stream, [value for _, value in records if value is not None])
    assert_same(outputs.scored, expected)
    bad = [(key, value) for key, value in records if _is_bad(value)]
    assert sorted(outputs.letter_bodies) == sorted(bad)
    surfaced = [r for r in outputs.scored if r["tier"] in ("impact", "connection")]
    assert len(outputs.tiered) == len(surfaced) > 0
    selected = [r for r in outputs.scored if r["sampling"] and r["sampling"]["selected"]]
    assert len(outputs.requests) == len(selected) > 0
    for positions in outputs.offsets_by_key().values():
        assert positions == sorted(positions)
    raw_ends = stream.raw_ends()
    committed = stream.committed()
    assert all(committed[partition] >= end for partition, end in raw_ends.items())
    assert sum(committed.values()) == len(records) + 2  # what is skipped moves an offset, too
    assert hanging_transactions(stream.servers, stream.prefix) == []
    assert b'newsieve_outcomes_total{filter="uplifting",outcome="blocked",tier=""}' in metrics
    assert b"newsieve_tombstones_total 2.0" in metrics
    reader.close()


def _is_bad(value: bytes) -> bool:
    try:
        facts = json.loads(value)
    except ValueError:
        return True
    return (
        not isinstance(facts, dict)
        or not isinstance(facts.get("title"), str)
        or facts["id"] is True
    )


@pytest.mark.usefixtures("started")
def test_health_says_what_the_loop_does(stream: Stream) -> None:
    """Live at once, before a student is loaded; ready when the model is warm and the group
    joined."""
    worker = stream.start_worker("a")
    worker.wait_until("health.opened")
    port = worker.events("health.opened")[0]["observe_port"]

    def status(page: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{page}", method="HEAD")
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    early = {page: status(page) for page in ("livez", "readyz")}
    assert not worker.events("student.loaded")
    worker.wait_until("partitions.assigned")

    assert early == {"livez": 200, "readyz": 503}
    assert {page: status(page) for page in early} == {"livez": 200, "readyz": 200}
    assert worker.terminate() == 0


def test_several_filters_score_the_same_records(
    stream: Stream, sustainability: Filter, tmp_path: Path
) -> None:
    """Each its own outcomes; an article that one filter blocks, another scores."""
    base = Path(
        json.loads((stream.students["uplifting"] / "student.json").read_text())["base"]["name"]
    )
    second = make_student(tmp_path / "second", sustainability, base=base)
    both = Stream(
        stream.servers, stream.prefix, tmp_path, {**stream.students, "sustainability": second}
    )
    both.produce(raw_records(120, seed=3))
    worker = both.start_worker("a")
    reader = both.reader()
    bad = 120 - sum(1 for _, value in raw_records(120, seed=3) if not _is_bad(value))

    outputs = reader.read_until(lambda o: len(o.scored) >= 2 * (120 - bad), 120)

    assert worker.terminate() == 0
    by_filter = {name: [r for r in outputs.scored if r["filter"] == name] for name in both.students}
    assert len(by_filter["uplifting"]) == len(by_filter["sustainability"]) == 120 - bad
    assert any(r["outcome"] == "blocked" for r in by_filter["uplifting"])
    assert all(r["outcome"] == "scored" for r in by_filter["sustainability"])
    assert len(outputs.letters) == bad  # one each, without a filter
    assert set(outputs.outcomes().values()) == {1}
    reader.close()


def test_a_dead_letter_limit_stops_with_nothing_dropped(stream: Stream) -> None:
    """Exit 1; the group stands at the first record that was not handled."""
    stream.produce([(b"k", b"{}")] * 40)
    worker = stream.start_worker("a", worker__dead_letter_run=10)
    reader = stream.reader()

    assert worker.wait(120) == 1
    outputs = reader.read_to_end()

    assert "more than 10 records in a row are dead letters: NoText (" in worker.text()
    assert "Traceback" not in worker.text()
    assert len(outputs.letters) == 10
    assert sum(stream.committed().values()) == 10
    assert hanging_transactions(stream.servers, stream.prefix) == []
    reader.close()


def test_a_worker_without_its_topics_says_which_command_makes_them(stream: Stream) -> None:
    """Before it loads anything else, and without a traceback."""
    worker = stream.start_worker("a", kafka__topic_prefix="nowhere")

    assert worker.wait(120) == 1
    assert "newsieve topics create" in worker.text()
    assert "Traceback" not in worker.text()
