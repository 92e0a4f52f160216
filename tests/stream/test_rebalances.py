"""Rebalances and failing commits, step by step, where a real broker leaves them to chance."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from newsieve.errors import BrokerLost, BrokerUnavailable, DeadLetterLimit, TopicsWrong
from newsieve.kafka.config import Partition
from newsieve.kafka.offset_query import OffsetQuery, Watermarks
from tests.support.impatience import limits
from tests.support.scripted import (
    TOPIC,
    Failure,
    Message,
    Scene,
    ScriptedConsumer,
    abortable,
    assigned,
    failing,
    lost,
    nothing,
    records,
    revoked,
)


def test_what_is_finished_is_committed_before_its_partition_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Records and offsets of the leaving partition in one transaction; the other goes on."""
    scene = Scene(
        [
            assigned(0, 1),
            records((0, 0), (1, 0), (0, 1)),
            nothing,
            revoked(0),
            records((1, 1)),
            nothing,
        ]
    )
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {0: 2, 1: 2}
    scene.ledger.assert_exactly_once()


def test_partitions_that_were_lost_are_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group has gone on without us; another member has them, and their records."""
    scene = Scene(
        [
            assigned(0, 1),
            records((0, 0), (1, 0)),
            nothing,
            lost(0, 1),
            assigned(1),
            records((1, 0)),
            nothing,
        ]
    )
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {1: 1}
    scene.ledger.assert_exactly_once()


def test_work_of_before_a_partition_left_is_void_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its records come again, perhaps after another member has handled some."""

    def release(_: ScriptedConsumer) -> list[Message]:
        scene.scorer.release()
        return []

    scene = Scene(
        [
            assigned(0),
            records((0, 0)),
            nothing,
            revoked(0),
            assigned(0),
            records((0, 0)),
            release,
            nothing,
        ],
        is_held=True,
    )
    scene.timeouts = limits(revoke_seconds=0.05)
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {0: 1}
    scene.ledger.assert_exactly_once()


def test_what_is_still_being_scored_is_not_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition leaves with it: its next owner has to find it."""
    scene = Scene([assigned(0), records((0, 0), (0, 1)), revoked(0)], is_held=True)
    scene.timeouts = limits(revoke_seconds=0.05)
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


def test_what_is_in_flight_at_the_end_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM drains: what has been taken is published and committed."""
    scene = Scene([assigned(0), records((0, 0), (0, 1))])
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {0: 2}
    scene.ledger.assert_exactly_once()


def test_what_is_not_finished_when_the_drain_is_over_is_counted_and_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A supervisor kills what takes longer: nothing of it may be half done."""
    scene = Scene([assigned(0), records((0, 0), (0, 1))], is_held=True, drain_seconds=0.2)
    scene.run(monkeypatch)

    assert scene.observer.abandoned == 2
    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


def test_after_a_failed_commit_in_a_revoke_the_next_revoke_commits_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The transaction is gone: its offsets without its records would lose them."""

    def twice(consumer: ScriptedConsumer) -> list[Message]:
        scene.producer.failing = {"commit": abortable()}
        consumer.revoke(0)
        consumer.revoke(1)
        return []

    scene = Scene([assigned(0, 1), records((0, 0), (1, 0)), nothing, twice, nothing])
    scene.run(monkeypatch)

    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


def test_a_worker_that_ends_commits_nothing_of_an_aborted_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A right was taken away: the worker stops, and leaving the group loses nothing."""
    refused = abortable(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    scene = Scene(
        [
            assigned(0),
            records((0, 0), (0, 1)),
            nothing,
            failing(lambda: scene, send_offsets=refused),
        ]
    )
    with pytest.raises(TopicsWrong):
        scene.run(monkeypatch)

    assert scene.ledger.offsets == {}
    scene.ledger.assert_exactly_once()


def test_a_limit_reached_inside_a_revoke_leaves_no_half_committed_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The leaving partition's offsets are forgotten, so its records must not become visible."""

    def scored_and_leaving(consumer: ScriptedConsumer) -> list[Message]:
        scene.scorer.release()
        consumer.revoke(0)
        return []

    scene = Scene(
        [
            assigned(0, 1),
            lambda _: [Message(0, 0), Message(1, 0), Message(0, 1, b"{}"), Message(0, 2, b"{}")],
            nothing,
            scored_and_leaving,
            nothing,
        ],
        dead_letter_run=1,
        is_held=True,
    )
    with pytest.raises(DeadLetterLimit):
        scene.run(monkeypatch)

    scene.ledger.assert_exactly_once()


@pytest.mark.parametrize("call", ["send_offsets", "commit"])
def test_a_failed_commit_rewinds_to_the_first_record_without_an_outcome(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same records come again, and are published once."""

    def leave_with_a_failure(consumer: ScriptedConsumer) -> list[Message]:
        scene.producer.failing = {call: abortable()}
        consumer.revoke(1)
        return []

    scene = Scene(
        [
            assigned(0, 1),
            records((0, 0), (1, 0)),
            nothing,
            leave_with_a_failure,
            lambda c: [Message(0, o) for o in range(c.sought[0], 3)],
            nothing,
        ]
    )
    scene.run(monkeypatch)

    assert scene.consumer.sought == {0: 0}
    assert scene.ledger.offsets == {0: 3}
    scene.ledger.assert_exactly_once()


def test_a_broker_that_stays_away_ends_the_process_to_be_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not for ever in one call: SIGTERM has to work in an outage, too."""
    scene = Scene([nothing])
    away = KafkaError(KafkaError._TIMED_OUT, "scripted", retriable=True)
    scene.producer.init_error = away

    scene.timeouts = limits(connect_seconds=0.2)
    with pytest.raises(BrokerLost):
        scene.run(monkeypatch)


def test_a_topic_that_is_gone_stops_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than scoring the same records again and again; nothing is committed."""
    gone = abortable(KafkaError.UNKNOWN_TOPIC_OR_PART)
    scene = Scene(
        [assigned(0), records((0, 0)), nothing, failing(lambda: scene, send_offsets=gone)]
    )
    with pytest.raises(TopicsWrong, match="newsieve topics check"):
        scene.run(monkeypatch)

    scene.ledger.assert_exactly_once()


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN, KafkaError._AUTO_OFFSET_RESET])
def test_a_failure_to_read_takes_back_what_is_in_the_open_transaction(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Its records come again: left in, they would be committed twice. Records that come with the
    failure, the first of their partition, come again, too."""
    extents = {(TOPIC, 1): Watermarks(0, 2, 0)}
    silent = iter((True,))

    def once_silent(*_: object) -> dict[Partition, Watermarks]:
        if next(silent, False):
            raise BrokerUnavailable("silent")
        return extents

    monkeypatch.setattr(OffsetQuery, "watermarks", once_silent)
    scene = Scene(
        [
            assigned(0, 1, 2),
            records((0, 0)),
            nothing,
            lambda _: [Failure(1, 0, code=code), Message(2, 0)],
            lambda c: [Message(p, c.sought[p]) for p in (0, 2) if p in c.sought],
            nothing,
            records((1, 0)),
            nothing,
        ]
    )
    scene.run(monkeypatch)

    assert scene.observer.faults == ["unknown" if code == KafkaError.UNKNOWN else "passing"]
    assert scene.ledger.offsets == {0: 1, 1: 1, 2: 1}
    scene.ledger.assert_exactly_once()
