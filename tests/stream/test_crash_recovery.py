"""Workers that die, one after another: who is blamed, what becomes of the rest, what is noted."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsieve.bootstrap.students import StudentIdentity, scoring_path
from newsieve.errors import DeviceFailed, KilledWorker, TooManyRecreations, TopicsWrong
from newsieve.inference.scorer import FilterScores
from newsieve.kafka.group_consumer import GroupConsumer
from newsieve.records.decode import Headers, RawRecord
from newsieve.settings.loader import load_settings
from newsieve.stream.crash_note import BLAMED_AFTER_DEATHS, NOTHING, Note, parse
from newsieve.stream.crash_recovery import KILLED_IN_A_ROW
from newsieve.stream.outcome import DEAD_LETTER
from tests.support.filters import load
from tests.support.fives import FivesScorer
from tests.support.impatience import limits
from tests.support.ledger import Always, Ledger
from tests.support.lineage import Lineage, LogConsumer, Place, log_of
from tests.support.scripted import (
    Scene,
    abortable,
    assigned,
    failing,
    lost,
    nothing,
    records,
    revoked,
)

DEATHS_OF_ONE = 2 + BLAMED_AFTER_DEATHS  # of a record that kills whoever scores it


def test_a_record_that_kills_is_given_up_and_the_rest_is_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After two deaths with others and two alone; nobody else is blamed, whatever was in flight."""
    lineage = Lineage(log_of([300, 300, 5], {(1, 170)}))
    lineage.run(monkeypatch)

    assert lineage.blamed == {(1, 170)}
    assert lineage.deaths == DEATHS_OF_ONE
    lineage.assert_exactly_once()
    assert not any(parse(text).suspects for text in lineage.ledger.notes.values())


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 150), min_size=1, max_size=4),
    killing=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 149)), max_size=3),
    mortality=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**16),
)
def test_whoever_dies_of_whatever_every_record_has_one_outcome(
    sizes: list[int],
    killing: list[Place],
    mortality: float,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killers in any places, among deaths by chance."""
    killers = {(n, at) for n, at in killing if n < len(sizes) and at < sizes[n]}
    lineage = Lineage(log_of(sizes, killers), mortality, seed=seed)
    lineage.run(monkeypatch)

    lineage.assert_exactly_once()
    assert killers <= lineage.blamed
    if not mortality:
        assert lineage.blamed == killers
        assert lineage.deaths <= DEATHS_OF_ONE * len(killers)


@pytest.mark.parametrize("seed", range(4))
def test_rebalances_and_failed_commits_blame_nobody(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions leave while records are taken one by one, and come back; commits abort."""
    killers = {(0, 30), (1, 100), (1, 101)}
    lineage = Lineage(log_of([60, 140, 20], killers), unrest=0.1, seed=seed)
    lineage.run(monkeypatch)

    assert lineage.blamed == killers
    lineage.assert_exactly_once()


def test_what_kills_on_every_record_stops_for_a_person_instead_of_eating_the_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also across deaths: memory is short, say. What was given up can be replayed."""
    killers = {(0, at) for at in range(20)}
    lineage = Lineage(log_of([40], killers))
    lineage.run(monkeypatch)

    assert len(lineage.stops) == (len(killers) - 1) // KILLED_IN_A_ROW
    assert "dlq replay --error KilledWorker" in lineage.stops[0]
    lineage.assert_exactly_once()


def test_a_worker_that_ends_in_order_leaves_no_suspicion(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM, or partitions that are given up: nothing was in flight then."""
    scene = Scene([assigned(0, 1), records((0, 0), (1, 0)), nothing, revoked(0), nothing])
    scene.run(monkeypatch)

    assert [parse(scene.ledger.notes[n]) for n in (0, 1)] == [NOTHING, NOTHING]


def test_a_worker_at_work_says_so_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a partition that the group has no offset of: its first record may kill."""
    scene = Scene([assigned(0), records((0, 0)), nothing])
    seen: list[Note] = []

    class Looking(FivesScorer):
        def submit(self, *asked: Any) -> Future[dict[str, FilterScores]]:
            seen.extend(parse(text) for text in scene.ledger.notes.values())
            return super().submit(*asked)

    scene.scorer = Looking(is_held=False)
    scene.run(monkeypatch)

    assert len(seen) == 1
    assert seen[0].in_flight > 0


def test_a_device_that_fails_counts_as_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record that spoiled it comes again: exit 3, for ever, if it did not count."""
    scene = Scene([assigned(0), records((0, 0)), nothing])

    class Failing(FivesScorer):
        def submit(self, *_: Any) -> Future[dict[str, FilterScores]]:
            raise DeviceFailed("scripted")

    scene.scorer = Failing(is_held=False)
    with pytest.raises(DeviceFailed):
        scene.run(monkeypatch)

    assert parse(scene.ledger.notes[0]).in_flight > 0


def test_a_refusing_broker_is_no_records_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends because of it was not killed by what it had in flight; whoever starts it
    again and again, no record is blamed."""
    scene = Scene(
        [
            assigned(0),
            records((0, 0)),
            nothing,
            failing(lambda: scene, send_offsets=abortable(KafkaError.UNKNOWN_TOPIC_OR_PART)),
        ]
    )
    with pytest.raises(TopicsWrong):
        scene.run(monkeypatch)

    assert parse(scene.ledger.notes[0]) == NOTHING


@pytest.mark.parametrize(
    ("left", "deaths"), [(NOTHING, []), (Note(in_flight=9), [1, 1]), (Note(9, deaths=1), [2, 2])]
)
def test_a_partition_that_is_lost_and_comes_back_is_no_death(
    left: Note, deaths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker lives. What a predecessor's end made suspect stays it."""
    taken = [assigned(0), records((0, 0)), nothing, nothing]
    scene = Scene([*taken, lost(0), *taken], is_held=True, drain_seconds=0)
    scene.ledger.notes[0] = left.text()
    seen: list[int] = []
    monkeypatch.setattr(
        scene.observer, "crash_inherited", lambda _at, _offset, note: seen.append(note.deaths)
    )
    scene.run(monkeypatch)

    assert seen == deaths


def test_no_record_is_blamed_while_its_outcomes_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Offsets can, so that each worker takes note of the last one's end: it was no record's."""
    ledger, log = Ledger(), log_of([5], set())
    monkeypatch.setattr(GroupConsumer, "rewind_to_committed", GroupConsumer.rewind)
    for _ in range(DEATHS_OF_ONE + 2):
        scene = Scene([], ledger=ledger, commit_seconds=0)
        scene.consumer = LogConsumer(log, ledger, lambda _: None)
        timed_out = KafkaError(KafkaError._TIMED_OUT, "scripted")
        scene.producer.failing = Always(scene.producer, commit=timed_out)
        scene.timeouts = limits(backoff_seconds=0)
        with pytest.raises(TooManyRecreations):
            scene.run(monkeypatch)

    assert ledger.letters == []
    assert parse(ledger.notes[0]).deaths == 1, "of the first, which took them as usual"


def test_an_end_of_unknown_outcome_never_sends_the_offset_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last commit may have gone through: what is noted at the end is noted where the broker
    stands, not where we do."""
    scene = Scene([assigned(0), records((0, 0), (0, 1)), nothing, nothing])
    scene.commit_seconds = 0
    commit = scene.producer.commit_transaction

    def lost_answer(seconds: float) -> None:
        holds_records = scene.producer.holds_records
        commit(seconds)
        if holds_records:
            scene.producer.is_open = False
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "scripted"))

    def silent(_: GroupConsumer) -> None:
        raise TopicsWrong("scripted")

    monkeypatch.setattr(scene.producer, "commit_transaction", lost_answer)
    monkeypatch.setattr(GroupConsumer, "rewind_to_committed", silent)
    with pytest.raises(TopicsWrong):
        scene.run(monkeypatch)

    assert scene.ledger.offsets == {0: 2}
    assert parse(scene.ledger.notes[0]) == NOTHING
    scene.ledger.assert_exactly_once()


def test_a_replayed_record_that_kills_is_given_up_for_the_filter_it_was_replayed_for() -> None:
    """Its other filters have outcomes already: another replay must not score it for them, too."""
    identity = StudentIdentity(load("uplifting"), "sha256:" + "0" * 64, "fp32")
    path = scoring_path(load_settings(None, {}), [identity], FivesScorer(is_held=False))
    replayed: Headers = [("dlq.filter", b"uplifting"), ("dlq.attempts", b"1")]
    for headers, expected in ((replayed, "uplifting"), (None, None)):
        record = RawRecord(b"not even JSON", None, headers, None, {})
        (row,) = path.finish(path.refuse(record, KilledWorker("scripted")))

        assert [(item.filter, item.outcome) for item in row.outcomes] == [(expected, DEAD_LETTER)]
